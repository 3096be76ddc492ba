/** The hash of IPv6 prefixes: as hash-table.ts, with slots of eight words: four of the address, LPM6_META, LPM6_VALUE. */

import type { Words6 } from './bytes6.js';
import { hash2 } from './hash-table.js';

const SLOT_WORDS = 8;
const META = 4;
const VALUE = 5;

/** Hash of a key (see LPM6_SIZE in dataplane-as/layout). */
function hash6(address: Words6, meta: number): number {
  let h = hash2(address[0], meta);
  for (const word of address.slice(1)) h = hash2(h, word);
  return h;
}

export class HashTable6 {
  readonly #words: Uint32Array;
  readonly #base: number;
  #mask: number;
  #used = 0;

  /**
   * An empty table.
   * @param words view over the whole memory
   * @param base word index of the first slot
   * @param log2 log2 of the number of slots
   */
  constructor(words: Uint32Array, base: number, log2: number) {
    this.#words = words;
    this.#base = base;
    this.#mask = (1 << log2) - 1;
  }

  get log2(): number {
    return 31 - Math.clz32(this.#mask + 1);
  }

  /** How many slots hold an entry. */
  get used(): number {
    return this.#used;
  }

  /** Gives the table another number of slots, which must be enough; its entries stay. */
  resize(log2: number): void {
    const entries = new Uint32Array(this.#used * SLOT_WORDS);
    for (let slot = 0, to = 0; to < entries.length; slot++) {
      const at = this.#at(slot);
      if (this.#words[at + META] === 0) continue;
      for (let i = 0; i < SLOT_WORDS; i++) entries[to++] = this.#words[at + i] ?? 0;
      this.#words.fill(0, at, at + SLOT_WORDS);
    }
    this.restart(log2);
    for (let i = 0; i < entries.length; i += SLOT_WORDS) {
      const [a = 0, b = 0, c = 0, d = 0, meta = 0, value = 0] = entries.subarray(i, i + SLOT_WORDS);
      this.set([a, b, c, d], meta, value);
    }
  }

  /** Its memory was cleared: an empty table of so many slots from here on. */
  restart(log2: number): void {
    this.#mask = (1 << log2) - 1;
    this.#used = 0;
  }

  /** The value under a key, or undefined. */
  get(address: Words6, meta: number): number | undefined {
    const at = this.#find(address, meta);
    return at < 0 ? undefined : this.#words[this.#at(at) + VALUE];
  }

  /** Inserts or overwrites. False when there is no empty slot. */
  set(address: Words6, meta: number, value: number): boolean {
    let slot = hash6(address, meta) & this.#mask;
    for (let i = 0; i <= this.#mask; i++) {
      const at = this.#at(slot);
      const empty = this.#words[at + META] === 0;
      if (empty || this.#isKey(at, address, meta)) {
        if (empty) this.#used++;
        this.#words.set(address, at);
        this.#words[at + META] = meta;
        this.#words[at + VALUE] = value;
        return true;
      }
      slot = (slot + 1) & this.#mask;
    }
    return false;
  }

  /** Removes a key; false when it was not there. */
  delete(address: Words6, meta: number): boolean {
    let hole = this.#find(address, meta);
    if (hole < 0) return false;
    let slot = hole;
    for (let i = 0; i < this.#mask; i++) {
      slot = (slot + 1) & this.#mask;
      const at = this.#at(slot);
      if (this.#words[at + META] === 0) break;
      const home = this.#homeOf(at);
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

  #at(slot: number): number {
    return this.#base + slot * SLOT_WORDS;
  }

  #homeOf(at: number): number {
    const word = (i: number): number => this.#words[at + i] ?? 0;
    return hash6([word(0), word(1), word(2), word(3)], word(META)) & this.#mask;
  }

  #isKey(at: number, address: Words6, meta: number): boolean {
    return this.#words[at + META] === meta && address.every((word, i) => this.#words[at + i] === word);
  }

  #find(address: Words6, meta: number): number {
    let slot = hash6(address, meta) & this.#mask;
    for (let i = 0; i <= this.#mask; i++) {
      const at = this.#at(slot);
      if (this.#words[at + META] === 0) return -1;
      if (this.#isKey(at, address, meta)) return slot;
      slot = (slot + 1) & this.#mask;
    }
    return -1;
  }
}
