/**
 * The tree of one side of a long list (TREE_* in dataplane-as/lists/layout.ts): stretches of addresses with the same longest prefix, in
 * leaves of up to sixteen. A stretch that is cut in two goes into its leaf, or takes the next ones with room along.
 */
import * as A from '../../../../dataplane-as/lists/layout.js';
import type { PrefixIndex } from './prefix-index.js';
import { ListFullError, type ListWords } from './words.js';

const KEYS = A.TREE_KEYS;
const LINE = A.TREE_LINE_SIZE / 4;
const LEAF = A.TREE_LEAF_SIZE / 4;
const CLASSES = A.TREE_CLASSES / 4;
const ADDRESSES = 2 ** 32;
/** Of an address, sorted by at a time. */
const RADIX_BITS = 11;

export class Intervals {
  /** By leaf: how many stretches it has; those of leaf n are at n * KEYS in the other two: first address, prefix's number. */
  #counts = new Uint8Array(0);
  #starts = new Uint32Array(0);
  #classes = new Uint32Array(0);
  /** Leaves with stretches: those behind them have none yet. */
  #used = 0;
  #list: ListWords | null = null;
  /** First words of the levels in the list, the root's first. */
  #levels: readonly number[] = [];

  constructor(readonly index: PrefixIndex) {}

  /** Enters all prefixes of the index, in an order with the shorter ones first; by number, the longest one around each, 0 = none. */
  build(order: Uint32Array): Uint32Array {
    const { addresses, lengths, count } = this.index;
    const parents = new Uint32Array(count + 1);
    const starts = new Uint32Array(2 * count + 1);
    const classes = new Uint32Array(2 * count + 1);
    let last = 0;
    const begin = (start: number, number: number) => {
      if (starts[last] !== start) last++;
      starts[last] = start;
      classes[last] = number;
    };
    const lastOf = (number: number) => (addresses[number] ?? 0) + 2 ** (32 - (lengths[number] ?? 0)) - 1;
    /** The innermost prefix that the sweep is in, its last address. */
    let open = 0;
    let end = ADDRESSES;
    const close = () => {
      const behind = end + 1;
      open = parents[open] ?? 0;
      end = open === 0 ? ADDRESSES : lastOf(open);
      if (behind < ADDRESSES) begin(behind, open);
    };
    const sorted = byAddress(addresses, order);
    for (let i = 0; i < sorted.length; i++) {
      const number = sorted[i] ?? 0;
      const address = addresses[number] ?? 0;
      while (end < address) close();
      parents[number] = open;
      open = number;
      end = lastOf(number);
      begin(address, number);
    }
    while (open !== 0) close();
    this.#spread(starts, classes, last + 1);
    return parents;
  }

  /** Levels of nodes it needs at least, the leaves among them. */
  get levels(): number {
    let levels = 1;
    for (let nodes = this.#counts.length; nodes > 1; nodes = Math.ceil(nodes / KEYS)) levels++;
    return levels;
  }

  /** Words it takes with so many levels. */
  wordsWith(levels: number): number {
    return this.#placesOf(levels, 0).end;
  }

  /** Moves into the list's words, with so many levels. */
  layOut(list: ListWords, at: number, levels: number): void {
    const { places } = this.#placesOf(levels, at);
    const { words } = list;
    for (const [level, place] of places.entries()) words[at + level] = place * 4;
    words.fill(A.TREE_NO_KEY, places[0], places[levels - 1]);
    this.#levels = places;
    this.#list = list;
    const put = (word: number, value: number) => {
      words[word] = value;
    };
    for (let leaf = 0; leaf < this.#used; leaf++) this.#write(leaf, put);
  }

  /** Covers a prefix that is new to a list that is laid out, wherever no longer one does. Throws ListFullError. */
  paint(number: number): void {
    const { addresses, lengths } = this.index;
    const length = lengths[number] ?? 0;
    const first = addresses[number] ?? 0;
    const behind = first + 2 ** (32 - length);
    // A stretch that goes beyond the prefix is of a wider one.
    this.#cut(first);
    if (behind < ADDRESSES) this.#cut(behind);
    let leaf = this.#leafOf(first);
    for (let slot = this.#slotOf(leaf, first); ; slot++) {
      if (slot === (this.#counts[leaf] ?? 0)) {
        this.#write(leaf);
        if (++leaf === this.#used) return;
        slot = 0;
      }
      const at = leaf * KEYS + slot;
      if ((this.#starts[at] ?? 0) >= behind) break;
      const old = this.#classes[at] ?? 0;
      if (old === 0 || (lengths[old] ?? 0) < length) this.#classes[at] = number;
    }
    this.#write(leaf);
  }

  /** Puts stretches into leaves, with room for two more for each prefix that the classes have room for. */
  #spread(starts: Uint32Array, classes: Uint32Array, total: number): void {
    const leaves = Math.ceil((total + this.index.count / 2 + 128) / KEYS);
    this.#counts = new Uint8Array(leaves);
    this.#starts = new Uint32Array(leaves * KEYS);
    this.#classes = new Uint32Array(leaves * KEYS);
    this.#used = Math.min(leaves, total);
    this.#fill(0, this.#used, starts, classes, total);
  }

  /** Fills some leaves evenly, all of which get at least one stretch. */
  #fill(
    first: number,
    leaves: number,
    starts: ArrayLike<number>,
    classes: ArrayLike<number>,
    total: number,
  ): void {
    let from = 0;
    for (let n = 0; n < leaves; n++) {
      const to = Math.ceil((total * (n + 1)) / leaves);
      this.#counts[first + n] = to - from;
      for (let at = (first + n) * KEYS; from < to; from++, at++) {
        this.#starts[at] = starts[from] ?? 0;
        this.#classes[at] = classes[from] ?? 0;
      }
    }
  }

  /** Makes a stretch begin at an address. */
  #cut(start: number): void {
    const leaf = this.#leafOf(start);
    const slot = this.#slotOf(leaf, start);
    if (this.#starts[leaf * KEYS + slot] === start) return;
    const [from, to] = this.#roomAround(leaf);
    const starts: number[] = [];
    const classes: number[] = [];
    for (let n = from; n < to; n++) {
      for (let i = 0; i < (this.#counts[n] ?? 0); i++) {
        starts.push(this.#starts[n * KEYS + i] ?? 0);
        classes.push(this.#classes[n * KEYS + i] ?? 0);
        if (n !== leaf || i !== slot) continue;
        starts.push(start);
        classes.push(this.#classes[n * KEYS + i] ?? 0);
      }
    }
    this.#fill(from, to - from, starts, classes, starts.length);
    for (let n = from; n < to; n++) this.#write(n);
  }

  /** The fewest leaves around one that have room for one stretch more: first, and behind the last. */
  #roomAround(leaf: number): readonly [number, number] {
    const full = (n: number) => (this.#counts[n] ?? KEYS) >= KEYS;
    let right = leaf;
    while (right < this.#used && full(right)) right++;
    if (right < this.#used) return [leaf, right + 1];
    let left = leaf;
    while (left >= 0 && full(left)) left--;
    if (left >= 0) return [left, leaf + 1];
    if (this.#used === this.#counts.length) throw new ListFullError('prefixes');
    this.#used++;
    return [leaf, this.#used];
  }

  /** The leaf that an address belongs to. */
  #leafOf(address: number): number {
    let low = 0;
    let high = this.#used - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#starts[middle * KEYS] ?? 0) <= address) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The stretch of a leaf that an address belongs to. */
  #slotOf(leaf: number, address: number): number {
    let slot = (this.#counts[leaf] ?? 0) - 1;
    while (slot > 0 && (this.#starts[leaf * KEYS + slot] ?? 0) > address) slot--;
    return slot;
  }

  /** Writes a leaf, and its first address where those above need it. */
  #write(leaf: number, put = (word: number, value: number) => this.#list?.put(word, value)): void {
    const bottom = this.#levels.length - 1;
    const first = (this.#levels[bottom] ?? 0) + leaf * LEAF;
    const count = this.#counts[leaf] ?? 0;
    for (let slot = 0; slot < KEYS; slot++) {
      const at = leaf * KEYS + slot;
      put(first + slot, slot > 0 && slot < count ? keyOf(this.#starts[at] ?? 0) : A.TREE_NO_KEY);
      put(first + CLASSES + slot, slot < count ? (this.#classes[at] ?? 0) : 0);
    }
    let node = leaf;
    for (let level = bottom - 1; level >= 0; level--) {
      const slot = node % KEYS;
      node = Math.floor(node / KEYS);
      if (slot === 0) continue;
      put((this.#levels[level] ?? 0) + node * LINE + slot, keyOf(this.#starts[leaf * KEYS] ?? 0));
      return;
    }
  }

  /** Where the levels begin in words, from the section's first word on, and where it ends. */
  #placesOf(levels: number, at: number): { readonly places: readonly number[]; readonly end: number } {
    const nodes: number[] = [this.#counts.length];
    while (nodes.length < levels) nodes.unshift(Math.ceil((nodes[0] ?? 0) / KEYS));
    let end = at + LINE;
    const places = nodes.map((count, level) => {
      const place = end;
      end += count * (level === levels - 1 ? LEAF : LINE);
      return place;
    });
    return { places, end };
  }
}

/** An address as the tree compares others with it. */
function keyOf(start: number): number {
  return ((start ^ 0x80000000) - 1) >>> 0;
}

/** Numbers of prefixes by address; of the same address, as they come. */
function byAddress(addresses: Uint32Array, order: Uint32Array): Uint32Array {
  let from = order;
  let to = new Uint32Array(order.length);
  let spare = new Uint32Array(order.length);
  for (let shift = 0; shift < 32; shift += RADIX_BITS) {
    const starts = new Uint32Array(2 ** RADIX_BITS + 1);
    const digit = (number: number) => ((addresses[number] ?? 0) >>> shift) & (2 ** RADIX_BITS - 1);
    for (let i = 0; i < from.length; i++) {
      const next = digit(from[i] ?? 0) + 1;
      starts[next] = (starts[next] ?? 0) + 1;
    }
    for (let i = 1; i < starts.length; i++) starts[i] = (starts[i] ?? 0) + (starts[i - 1] ?? 0);
    for (let i = 0; i < from.length; i++) {
      const number = from[i] ?? 0;
      const place = starts[digit(number)] ?? 0;
      starts[digit(number)] = place + 1;
      to[place] = number;
    }
    from = to;
    [to, spare] = [spare, to];
  }
  return from;
}
