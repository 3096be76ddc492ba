/**
 * One side of a list, source or destination: its prefixes, what leads to the longest one of an address, and for each the class that
 * names the prefixes around it (dataplane-as/lists/layout.ts).
 */
import * as A from '../../../../dataplane-as/lists/layout.js';
import { Intervals } from './intervals.js';
import { PrefixIndex } from './prefix-index.js';
import { maskOf } from './rule.js';
import { ShortTrie } from './short-trie.js';
import { ListFullError, type ListWords } from './words.js';

const CLASS = A.CLASS_SIZE / 4;
const NOWHERE = 255;
/** Bits of what a class names in a place. */
const ENTRY = 0xffffff;

export class Side {
  readonly index: PrefixIndex;
  /** By number of a prefix: its place in classes; NOWHERE if it came late and those around and inside it have all. */
  #places = new Uint8Array(0);
  /** By number: the pairs of places that its own rules have, as two words. */
  #tuples = new Uint32Array(0);
  /** Prefixes that took the place of one around them, and so have its rules too. */
  readonly #standIns = new Map<number, number[]>();
  /** By number: the longest prefix around it, 0 = none. Right for those that were there when the list was built. */
  #parents: Uint32Array = new Uint32Array(0);
  /** By number: how many rules it has, while building. */
  #weights = new Uint32Array(0);
  readonly #locator: ShortTrie | Intervals;
  // Until the list is laid out, an array of its own; then part of its words.
  #classes: Uint32Array = new Uint32Array(0);
  #list: ListWords | null = null;
  #classesAt = 0;
  /** Numbers of the prefixes there were when the list was built, the widest first. */
  #order: Uint32Array = new Uint32Array(0);

  /** @param short the list has the tries of a short one */
  constructor(expected: number, short: boolean) {
    this.index = new PrefixIndex(expected);
    this.#locator = short ? new ShortTrie(this.index) : new Intervals(this.index);
  }

  /** The prefix's place, undefined if it has none. */
  placeOf(number: number): number | undefined {
    const place = this.#places[number] ?? NOWHERE;
    return place === NOWHERE ? undefined : place;
  }

  isStoodIn(number: number): boolean {
    return this.#standIns.has(number);
  }

  /** The prefix, and those that stand in for it: all of them need its rules. */
  *bearers(number: number): Iterable<number> {
    yield number;
    for (const other of this.#standIns.get(number) ?? []) yield* this.bearers(other);
  }

  /** The group of the prefix's length. */
  groupOf(number: number): number {
    return Math.max(0, (this.index.lengths[number] ?? 0) - 1);
  }

  /**
   * Makes the way to the classes and the classes of all prefixes in the index, from the widest to the longest. `numbers` are those of the rules' own
   * prefixes: where all places around a prefix are taken, it takes that of the one with the fewest rules.
   */
  build(numbers: Uint32Array): void {
    const { index } = this;
    this.#weights = new Uint32Array(index.count + 1);
    for (const number of numbers) this.#weights[number] = (this.#weights[number] ?? 0) + 1;
    const room = Math.ceil(index.count * 1.25) + 64;
    if (room > A.PREFIX_NUMBER) throw new ListFullError('prefixes');
    this.#places = new Uint8Array(room).fill(NOWHERE);
    this.#tuples = new Uint32Array(room * 2);
    this.#classes = new Uint32Array(room * CLASS);
    this.#order = byLength(index.lengths, index.count);
    this.#parents = this.#locator.build(this.#order);
    const taken = new Uint8Array(index.count + 1);
    for (const number of this.#order) {
      const parent = this.#parents[number] ?? 0;
      taken[number] = this.#enter(number, parent, taken[parent] ?? 0);
    }
  }

  /**
   * For each class, from 0 = no prefix on, a vector of `words` words: a bit for each rule whose prefix (`numbers`) holds the class's
   * addresses, and bit `last`.
   */
  vectors(numbers: Uint32Array, words: number, last: number): Uint32Array {
    const { index } = this;
    const vectors = new Uint32Array((index.count + 1) * words);
    for (let i = 0; i < numbers.length; i++) {
      const at = (numbers[i] ?? 0) * words + (i >> 5);
      vectors[at] = (vectors[at] ?? 0) | (1 << (i & 31));
    }
    vectors[last >> 5] = 1 << (last & 31);
    for (const number of this.#order) {
      const parent = (this.#parents[number] ?? 0) * words;
      for (let word = 0; word < words; word++) {
        const at = number * words + word;
        vectors[at] = (vectors[at] ?? 0) | (vectors[parent + word] ?? 0);
      }
    }
    return vectors;
  }

  /** What leads from addresses to classes; its size is known once this side is built. */
  get locator(): ShortTrie | Intervals {
    return this.#locator;
  }

  get classWords(): number {
    return this.#classes.length;
  }

  /** Moves the classes into the list's words. */
  layOut(list: ListWords, classesAt: number): void {
    const classes = list.words.subarray(classesAt, classesAt + this.classWords);
    classes.set(this.#classes);
    this.#classes = classes;
    this.#list = list;
    this.#classesAt = classesAt;
  }

  /** While building: notes that the prefix has a rule with this pair of places (0-63). */
  note(number: number, tuple: number): void {
    const at = number * 2 + (tuple >> 5);
    this.#tuples[at] = (this.#tuples[at] ?? 0) | (1 << (tuple & 31));
  }

  /** While building, after all rules were noted: each class gets the pairs of all prefixes around it. */
  spread(): void {
    const classes = this.#classes;
    const tuples = this.#tuples;
    for (let number = 1; number <= this.index.count; number++) {
      let low = 0;
      let high = 0;
      for (let place = 0; place < A.LIST_PLACES; place++) {
        const around = this.#prefixAt(number, place);
        low |= tuples[around * 2] ?? 0;
        high |= tuples[around * 2 + 1] ?? 0;
      }
      classes[number * CLASS] = low;
      classes[number * CLASS + 1] = high;
    }
  }

  /** Notes a rule's pair of places in the classes of all addresses of the prefix. The list is laid out. */
  mark(number: number, tuple: number): void {
    const bit = 1 << (tuple & 31);
    if (((this.#tuples[number * 2 + (tuple >> 5)] ?? 0) & bit) !== 0) return;
    this.note(number, tuple);
    for (const inner of [number, ...this.#inside(number)]) {
      const word = inner * CLASS + (tuple >> 5);
      this.#putClass(word, ((this.#classes[word] ?? 0) | bit) >>> 0);
    }
  }

  /** The number of a prefix; makes it known in a list that is laid out if it is not. Throws ListFullError. */
  learn(address: number, length: number): number {
    const known = this.index.get(address, length);
    if (known !== 0) return known;
    if ((this.index.count + 2) * CLASS > this.#classes.length) throw new ListFullError('prefixes');
    const number = this.index.add(address, length);
    const parent = this.#around(address, length);
    const inside = [...this.#inside(number)];
    let taken = this.#takenBy(parent);
    for (const inner of inside) taken |= 1 << (this.#places[inner] ?? 0);
    const place = firstFree(taken);
    this.#places[number] = place;
    if (place === NOWHERE) return number;
    for (let i = 0; i < CLASS; i++) {
      this.#putClass(number * CLASS + i, this.#classes[parent * CLASS + i] ?? 0);
    }
    for (const inner of [number, ...inside]) this.#putPrefix(inner, place, number);
    this.#locator.paint(number);
    return number;
  }

  #putClass(at: number, value: number): void {
    if (this.#list === null) this.#classes[at] = value;
    else this.#list.put(this.#classesAt + at, value);
  }

  /** The prefix that a class names in a place, 0 = none. */
  #prefixAt(number: number, place: number): number {
    return this.#entryAt(number, place) & A.PREFIX_NUMBER;
  }

  #entryAt(number: number, place: number): number {
    const byte = number * A.CLASS_SIZE + A.CLASS_PREFIXES + place * A.CLASS_PREFIX_SIZE;
    const shift = (byte & 3) << 3;
    const word = (this.#classes[byte >>> 2] ?? 0) >>> shift;
    const more = shift > 8 ? (this.#classes[(byte >>> 2) + 1] ?? 0) << (32 - shift) : 0;
    return (word | more) & ENTRY;
  }

  /** Names a prefix in a place of a class. */
  #putPrefix(number: number, place: number, prefix: number): void {
    const entry = prefix | (this.groupOf(prefix) << A.PREFIX_GROUP_SHIFT);
    const byte = number * A.CLASS_SIZE + A.CLASS_PREFIXES + place * A.CLASS_PREFIX_SIZE;
    const shift = (byte & 3) << 3;
    const at = byte >>> 2;
    this.#putClass(at, (((this.#classes[at] ?? 0) & ~(ENTRY << shift)) | (entry << shift)) >>> 0);
    if (shift <= 8) return;
    const rest = 32 - shift;
    this.#putClass(at + 1, (((this.#classes[at + 1] ?? 0) & ~(ENTRY >>> rest)) | (entry >>> rest)) >>> 0);
  }

  /** Gives a prefix a place, where those in `taken` (a bit each) are taken; returns these and its own. */
  #enter(number: number, parent: number, taken: number): number {
    let place = firstFree(taken);
    if (place === NOWHERE) place = this.#standIn(number, parent);
    this.#places[number] = place;
    this.#classes.copyWithin(number * CLASS, parent * CLASS, parent * CLASS + CLASS);
    this.#putPrefix(number, place, number);
    return taken | (1 << place);
  }

  /** Chooses the place of one of those around a prefix. */
  #standIn(number: number, parent: number): number {
    const around = (place: number): number => this.#prefixAt(parent, place);
    const weight = (place: number): number => {
      let sum = 0;
      for (const bearer of this.bearers(around(place))) sum += this.#weights[bearer] ?? 0;
      return sum;
    };
    let best = 0;
    for (let place = 1; place < A.LIST_PLACES; place++) if (weight(place) < weight(best)) best = place;
    const stood = around(best);
    this.#standIns.set(stood, [...(this.#standIns.get(stood) ?? []), number]);
    this.#weights[number] = (this.#weights[number] ?? 0) + (this.#weights[stood] ?? 0);
    return best;
  }

  /** Places that a class names prefixes in. */
  #takenBy(number: number): number {
    let taken = 0;
    for (let place = 0; place < A.LIST_PLACES; place++) {
      if (this.#prefixAt(number, place) !== 0) taken |= 1 << place;
    }
    return taken;
  }

  /** The longest prefix with a place around this one; 0 = none. */
  #around(address: number, length: number): number {
    for (let shorter = length - 1; shorter >= 0; shorter--) {
      const number = this.index.get((address & maskOf(shorter)) >>> 0, shorter);
      if (number !== 0 && this.placeOf(number) !== undefined) return number;
    }
    return 0;
  }

  /** Prefixes with a place inside this one. */
  *#inside(number: number): Iterable<number> {
    const { addresses, lengths, count } = this.index;
    const address = addresses[number] ?? 0;
    const length = lengths[number] ?? 0;
    const mask = maskOf(length);
    for (let other = 1; other <= count; other++) {
      if ((lengths[other] ?? 0) <= length || (this.#places[other] ?? NOWHERE) === NOWHERE) continue;
      if (((addresses[other] ?? 0) & mask) >>> 0 === address) yield other;
    }
  }
}

function firstFree(taken: number): number {
  for (let place = 0; place < A.LIST_PLACES; place++) if ((taken & (1 << place)) === 0) return place;
  return NOWHERE;
}

/** Numbers 1 to `count`, those of the shortest prefixes first. */
function byLength(lengths: Uint8Array, count: number): Uint32Array {
  const starts = new Uint32Array(34);
  for (let number = 1; number <= count; number++) {
    const next = (lengths[number] ?? 0) + 1;
    starts[next] = (starts[next] ?? 0) + 1;
  }
  for (let length = 1; length < 34; length++)
    starts[length] = (starts[length] ?? 0) + (starts[length - 1] ?? 0);
  const order = new Uint32Array(count);
  for (let number = 1; number <= count; number++) {
    const length = lengths[number] ?? 0;
    const place = starts[length] ?? 0;
    order[place] = number;
    starts[length] = place + 1;
  }
  return order;
}
