/**
 * The hash tables of an image: open addressing, linear probing, four words a slot, the first two of them the key. Deletion
 * shifts the following slots back, so that there are no tombstones and a look-up may stop at the first empty slot.
 */
import { HASH_A, HASH_B, HASH_C, HASH_D } from '../../../dataplane-as/layout/index.js';

/** Home slot of a key in a table of 2^log2 slots (see HASH_A in dataplane-as/layout). */
function homeOf(a: number, b: number, log2: number): number {
  return (Math.imul(a, HASH_A) ^ Math.imul((b + HASH_B) | 0, HASH_C)) >>> (32 - log2);
}

/** All bits of two words mixed (see HASH_A in dataplane-as/layout). */
export function hash2(a: number, b: number): number {
  let h = Math.imul(a, HASH_A) ^ Math.imul((b + HASH_B) | 0, HASH_C);
  h ^= h >>> 15;
  h = Math.imul(h, HASH_D);
  h ^= h >>> 13;
  return h >>> 0;
}

const SLOT_WORDS = 4;

export class HashTable {
  readonly #words: Uint32Array;
  readonly #base: number;
  #mask: number;
  #log2: number;
  #used = 0;
  readonly #empty: number;

  /**
   * An empty table.
   * @param words view over the whole memory
   * @param base word index of the first slot
   * @param log2 log2 of the number of slots; behind them must be room for as many as `resize` is asked for
   * @param emptyWord the word of a slot (0-3) that is 0 in an empty slot and never in a used one
   */
  constructor(words: Uint32Array, base: number, log2: number, emptyWord: number) {
    this.#words = words;
    this.#base = base;
    this.#mask = (1 << log2) - 1;
    this.#log2 = log2;
    this.#empty = emptyWord;
  }

  get log2(): number {
    return this.#log2;
  }

  /** How many slots hold an entry. */
  get used(): number {
    return this.#used;
  }

  get slots(): number {
    return this.#mask + 1;
  }

  /** Gives the table another number of slots, which must be enough; its entries stay. */
  resize(log2: number): void {
    const entries = new Uint32Array(this.#used * SLOT_WORDS);
    for (let slot = 0, to = 0; to < entries.length; slot++) {
      const at = this.#at(slot);
      if (this.#isEmpty(at)) continue;
      for (let i = 0; i < SLOT_WORDS; i++) entries[to++] = this.#words[at + i] ?? 0;
      this.#words.fill(0, at, at + SLOT_WORDS);
    }
    this.restart(log2);
    for (let i = 0; i < entries.length; i += SLOT_WORDS) {
      this.set(entries[i] ?? 0, entries[i + 1] ?? 0, entries[i + 2] ?? 0);
    }
  }

  /** Its memory was cleared: an empty table of so many slots from here on. */
  restart(log2: number): void {
    this.#log2 = log2;
    this.#mask = (1 << log2) - 1;
    this.#used = 0;
  }

  /** The value under a key, or undefined. */
  get(a: number, b: number): number | undefined {
    const at = this.#find(a, b);
    return at < 0 ? undefined : this.#words[this.#at(at) + 2];
  }

  /** Inserts or overwrites. False when there is no empty slot. */
  set(a: number, b: number, value: number): boolean {
    let slot = homeOf(a, b, this.#log2);
    for (let i = 0; i <= this.#mask; i++) {
      const at = this.#at(slot);
      const empty = this.#isEmpty(at);
      if (empty || (this.#words[at] === a && this.#words[at + 1] === b)) {
        if (empty) this.#used++;
        this.#words[at] = a;
        this.#words[at + 1] = b;
        this.#words[at + 2] = value;
        this.#words[at + 3] = 0;
        return true;
      }
      slot = (slot + 1) & this.#mask;
    }
    return false;
  }

  /** Removes a key; false when it was not there. */
  delete(a: number, b: number): boolean {
    let hole = this.#find(a, b);
    if (hole < 0) return false;
    let slot = hole;
    for (let i = 0; i < this.#mask; i++) {
      slot = (slot + 1) & this.#mask;
      const at = this.#at(slot);
      if (this.#isEmpty(at)) break;
      const home = homeOf(this.#words[at] ?? 0, this.#words[at + 1] ?? 0, this.#log2);
      // The entry may move back into the hole unless its home lies cyclically behind the hole.
      const staysPut = hole <= slot ? hole < home && home <= slot : hole < home || home <= slot;
      if (staysPut) continue;
      this.#words.copyWithin(this.#at(hole), at, at + SLOT_WORDS);
      hole = slot;
    }
    this.#words.fill(0, this.#at(hole), this.#at(hole) + SLOT_WORDS);
    this.#used--;
    return true;
  }

  /** Number of used slots, counted. */
  count(): number {
    let n = 0;
    for (let slot = 0; slot <= this.#mask; slot++) if (!this.#isEmpty(this.#at(slot))) n++;
    return n;
  }

  #at(slot: number): number {
    return this.#base + slot * SLOT_WORDS;
  }

  #isEmpty(at: number): boolean {
    return this.#words[at + this.#empty] === 0;
  }

  #find(a: number, b: number): number {
    let slot = homeOf(a, b, this.#log2);
    for (let i = 0; i <= this.#mask; i++) {
      const at = this.#at(slot);
      if (this.#isEmpty(at)) return -1;
      if (this.#words[at] === a && this.#words[at + 1] === b) return slot;
      slot = (slot + 1) & this.#mask;
    }
    return -1;
  }
}
