/**
 * One side of a list, source or destination: its prefixes, what leads to the longest one of an address, and for each the class that
 * names the prefixes around it (dataplane-as/lists/layout.ts).
 */
import * as A from '../../../../dataplane-as/lists/layout.js';
import { Intervals } from './intervals.js';
import type { PrefixIndex } from './prefix-index.js';
import { maskOf } from './rule.js';
import type { Scratch } from './scratch.js';
import { ShortTrie } from './short-trie.js';
import { ListFullError, type ListWords } from './words.js';

const CLASS = A.CLASS_SIZE / 4;
const NOWHERE = 255;
/** Prefixes there is room for beside a quarter more than there are. */
const SPARE_PREFIXES = 64;
/** Bits of what a class names in a place. */
const ENTRY = 0xffffff;
const NONE = new Uint32Array(0);

export class Side {
  readonly index: PrefixIndex;
  /** By number of a prefix: its place in classes; NOWHERE if it came late and those around and inside it have all. */
  readonly #places: Uint8Array;
  /** By number: the pairs of places that its own rules have, as two words. */
  readonly #tuples: Uint32Array;
  /** Prefixes that took the place of one around them, and so have its rules too. */
  readonly #standIns = new Map<number, number[]>();
  /** While building, by number: the longest prefix around it, 0 = none; how many rules it has. */
  #parents: Uint32Array;
  #weights: Uint32Array;
  /** While building: numbers of all prefixes, the widest first. */
  #order: Uint32Array;
  readonly #locator: ShortTrie | Intervals;
  // Until the list is laid out, in the scratch memory; then part of its words.
  #classes: Uint32Array;
  #list: ListWords | null = null;
  #classesAt = 0;

  /**
   * Makes the way to the classes and the classes of all prefixes in the index, from the widest to the longest. `numbers` are those of
   * the rules' own prefixes: where all places around a prefix are taken, it takes that of the one with the fewest rules.
   * @param short the list has the tries of a short one
   */
  constructor(index: PrefixIndex, numbers: Uint32Array, short: boolean, scratch: Scratch) {
    this.index = index;
    const { count } = index;
    this.#locator = short ? new ShortTrie(index, scratch) : new Intervals(index);
    this.#weights = scratch.words(count + 1);
    for (let i = 0; i < numbers.length; i++) {
      const number = numbers[i] ?? 0;
      this.#weights[number] = (this.#weights[number] ?? 0) + 1;
    }
    const room = Math.ceil(count * 1.25) + SPARE_PREFIXES;
    if (room > A.PREFIX_NUMBER) throw new ListFullError('prefixes');
    this.#places = new Uint8Array(room).fill(NOWHERE);
    this.#tuples = new Uint32Array(room * 2);
    this.#classes = scratch.words(room * CLASS);
    this.#order = byLength(index.lengths, count, scratch);
    this.#parents = this.#locator.build(this.#order);
    const taken = scratch.bytes(count + 1);
    for (let i = 0; i < count; i++) {
      const number = this.#order[i] ?? 0;
      const parent = this.#parents[number] ?? 0;
      taken[number] = this.#enter(number, parent, taken[parent] ?? 0);
    }
  }

  /** The prefix's place, undefined if it has none. */
  placeOf(number: number): number | undefined {
    const place = this.#places[number] ?? NOWHERE;
    return place === NOWHERE ? undefined : place;
  }

  /** Some prefixes have others that stand in for them. */
  get hasStandIns(): boolean {
    return this.#standIns.size > 0;
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
   * For each class, from 0 = no prefix on, a vector of `words` words: a bit for each rule whose prefix (`numbers`) holds the class's
   * addresses, and bit `last`. While building.
   */
  vectors(numbers: Uint32Array, words: number, last: number, scratch: Scratch): Uint32Array {
    const order = this.#order;
    const parents = this.#parents;
    const vectors = scratch.words((order.length + 1) * words);
    for (let i = 0; i < numbers.length; i++) {
      const at = (numbers[i] ?? 0) * words + (i >> 5);
      vectors[at] = (vectors[at] ?? 0) | (1 << (i & 31));
    }
    vectors[last >> 5] = 1 << (last & 31);
    for (let i = 0; i < order.length; i++) {
      const number = order[i] ?? 0;
      const parent = (parents[number] ?? 0) * words;
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

  /**
   * After all rules were noted: each class gets the pairs of all prefixes around it. (Who stands in for another one has its rules
   * noted as well.) This ends building.
   */
  spread(): void {
    const classes = this.#classes;
    const tuples = this.#tuples;
    for (let i = 0; i < this.#order.length; i++) {
      const number = this.#order[i] ?? 0;
      const at = number * CLASS;
      const parent = (this.#parents[number] ?? 0) * CLASS;
      classes[at] = (tuples[number * 2] ?? 0) | (classes[parent] ?? 0);
      classes[at + 1] = (tuples[number * 2 + 1] ?? 0) | (classes[parent + 1] ?? 0);
    }
    this.#parents = NONE;
    this.#weights = NONE;
    this.#order = NONE;
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
    const classes = this.#classes;
    for (let i = 0; i < CLASS; i++) classes[number * CLASS + i] = classes[parent * CLASS + i] ?? 0;
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
function byLength(lengths: Uint8Array, count: number, scratch: Scratch): Uint32Array {
  const starts = scratch.words(34);
  for (let number = 1; number <= count; number++) {
    const next = (lengths[number] ?? 0) + 1;
    starts[next] = (starts[next] ?? 0) + 1;
  }
  for (let length = 1; length < 34; length++)
    starts[length] = (starts[length] ?? 0) + (starts[length - 1] ?? 0);
  const order = scratch.words(count);
  for (let number = 1; number <= count; number++) {
    const length = lengths[number] ?? 0;
    const place = starts[length] ?? 0;
    order[place] = number;
    starts[length] = place + 1;
  }
  return order;
}
