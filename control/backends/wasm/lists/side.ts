/**
 * One side of a list, source or destination: its prefixes, the trie that leads to the longest one of an address, and for each the
 * class that names the prefixes around it (dataplane-as/lists/layout.ts).
 */
import * as A from '../../../../dataplane-as/lists/layout.js';
import { PrefixIndex } from './prefix-index.js';
import { maskOf } from './rule.js';
import { ListFullError, type ListWords } from './words.js';

const BLOCK = A.LIST_BLOCK_WORDS;
const CLASS = A.CLASS_SIZE / 4;
const PREFIXES = A.CLASS_PREFIXES / 4;
const NOWHERE = 255;

export class Side {
  readonly index: PrefixIndex;
  /** By number of a prefix: its place in classes; NOWHERE if it came late and those around and inside it have all. */
  #places = new Uint8Array(0);
  /** By number: the pairs of places that its own rules have, as two words. */
  #tuples = new Uint32Array(0);
  /** Prefixes that took the place of one around them, and so have its rules too. */
  readonly #standIns = new Map<number, number[]>();
  /** By number: the longest prefix around it, 0 = none. Right for those that were there when the list was built. */
  #parents = new Uint32Array(0);
  /** By number: how many rules it has, while building. */
  #weights = new Uint32Array(0);
  // Until the list is laid out, both are arrays of their own; then parts of its words.
  #trie: Uint32Array;
  #classes: Uint32Array = new Uint32Array(0);
  #blocks = A.LIST_ROOT_WORDS / BLOCK;
  #list: ListWords | null = null;
  #trieAt = 0;
  #classesAt = 0;

  constructor(expected: number) {
    this.index = new PrefixIndex(expected);
    this.#trie = new Uint32Array(A.LIST_ROOT_WORDS + 64 * BLOCK);
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

  /** The prefix as classes and pairs name it. */
  wordOf(number: number): number {
    return (number | ((this.index.lengths[number] ?? 0) << A.PREFIX_LENGTH_SHIFT)) >>> 0;
  }

  /**
   * Makes the trie and the classes of all prefixes in the index, from the widest to the longest. `numbers` are those of the rules' own
   * prefixes: where all places around a prefix are taken, it takes that of the one with the fewest rules.
   */
  build(numbers: Uint32Array): void {
    const { index } = this;
    this.#weights = new Uint32Array(index.count + 1);
    this.#parents = new Uint32Array(index.count + 1);
    for (const number of numbers) this.#weights[number] = (this.#weights[number] ?? 0) + 1;
    const room = Math.ceil(index.count * 1.25) + 64;
    this.#places = new Uint8Array(room).fill(NOWHERE);
    this.#tuples = new Uint32Array(room * 2);
    this.#classes = new Uint32Array(room * CLASS);
    const order = byLength(index.lengths, index.count);
    for (const number of order) {
      const address = index.addresses[number] ?? 0;
      const length = index.lengths[number] ?? 0;
      const parent = this.#fill(address, length, number);
      this.#parents[number] = parent;
      this.#enter(number, parent);
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
    for (const number of byLength(index.lengths, index.count)) {
      const parent = (this.#parents[number] ?? 0) * words;
      for (let word = 0; word < words; word++) {
        const at = number * words + word;
        vectors[at] = (vectors[at] ?? 0) | (vectors[parent + word] ?? 0);
      }
    }
    return vectors;
  }

  /** Bytes the parts take, with room to grow. */
  get trieWords(): number {
    return Math.ceil(this.#blocks * 1.25 + 32) * BLOCK;
  }

  get classWords(): number {
    return this.#classes.length;
  }

  /** Moves into the list's words. */
  layOut(list: ListWords, trieAt: number, classesAt: number): void {
    const trie = list.words.subarray(trieAt, trieAt + this.trieWords);
    trie.set(this.#trie.subarray(0, this.#blocks * BLOCK));
    const classes = list.words.subarray(classesAt, classesAt + this.classWords);
    classes.set(this.#classes);
    this.#trie = trie;
    this.#classes = classes;
    this.#list = list;
    this.#trieAt = trieAt;
    this.#classesAt = classesAt;
  }

  /** While building: notes that the prefix has a rule with this pair of places (0-63). */
  note(number: number, tuple: number): void {
    const at = number * 2 + (tuple >> 5);
    this.#tuples[at] = (this.#tuples[at] ?? 0) | (1 << (tuple & 31));
  }

  /** While building, after all rules were noted: each class gets the pairs of all prefixes around it. */
  spread(): void {
    const { index } = this;
    for (const number of byLength(index.lengths, index.count)) {
      const at = number * CLASS;
      for (let place = 0; place < A.LIST_PLACES; place++) {
        const around = (this.#classes[at + PREFIXES + place] ?? 0) & A.PREFIX_NUMBER;
        for (let word = 0; word < 2; word++) {
          const own = this.#tuples[around * 2 + word] ?? 0;
          if (around !== 0) this.#classes[at + word] = (this.#classes[at + word] ?? 0) | own;
        }
      }
    }
  }

  /** Notes a pair of places of a list that is laid out, in the classes of all addresses of the prefix. */
  mark(number: number, tuple: number): void {
    const at = number * 2 + (tuple >> 5);
    const bit = 1 << (tuple & 31);
    if (((this.#tuples[at] ?? 0) & bit) !== 0) return;
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
    for (const inner of [number, ...inside])
      this.#putClass(inner * CLASS + PREFIXES + place, this.wordOf(number));
    this.#paint(address, length, number);
    return number;
  }

  #putClass(at: number, value: number): void {
    this.#list?.put(this.#classesAt + at, value);
  }

  #enter(number: number, parent: number): void {
    let place = firstFree(this.#takenBy(parent));
    if (place === NOWHERE) place = this.#standIn(number, parent);
    this.#places[number] = place;
    const at = number * CLASS;
    this.#classes.copyWithin(at, parent * CLASS, parent * CLASS + CLASS);
    this.#classes[at + PREFIXES + place] = this.wordOf(number);
  }

  /** Chooses the place of one of those around a prefix. */
  #standIn(number: number, parent: number): number {
    const around = (place: number): number =>
      (this.#classes[parent * CLASS + PREFIXES + place] ?? 0) & A.PREFIX_NUMBER;
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
      if ((this.#classes[number * CLASS + PREFIXES + place] ?? 0) !== 0) taken |= 1 << place;
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

  /** Covers a prefix that none inside it is known of yet; returns what covered it. */
  #fill(address: number, length: number, number: number): number {
    let at = address >>> 16;
    let depth = 16;
    for (; length > depth; depth += 8) at = this.#under(at) + ((address >>> (24 - depth)) & 255);
    const parent = (this.#trie[at] ?? 0) & A.LIST_CLASS;
    const word = ((length << A.LIST_LENGTH_SHIFT) | number) >>> 0;
    this.#trie.fill(word, at, at + 2 ** (depth - length));
    return parent;
  }

  /** First word of the block under a word; made if there is none. */
  #under(at: number): number {
    const word = this.#trie[at] ?? 0;
    if (word >= A.LIST_CHILD) return (word - A.LIST_CHILD) * BLOCK;
    const block = this.#blocks++;
    if ((block + 1) * BLOCK > this.#trie.length) {
      if (this.#list !== null) throw new ListFullError('blocks of the trie');
      const grown = new Uint32Array(this.#trie.length * 2);
      grown.set(this.#trie);
      this.#trie = grown;
    }
    if (this.#list === null) this.#trie.fill(word, block * BLOCK, (block + 1) * BLOCK);
    else for (let i = 0; i < BLOCK; i++) this.#putTrie(block * BLOCK + i, word);
    this.#putTrie(at, A.LIST_CHILD + block);
    return block * BLOCK;
  }

  #putTrie(at: number, value: number): void {
    if (this.#list === null) this.#trie[at] = value;
    else this.#list.put(this.#trieAt + at, value);
  }

  /** Covers a prefix wherever no longer one does. */
  #paint(address: number, length: number, number: number): void {
    let at = address >>> 16;
    let depth = 16;
    for (; length > depth; depth += 8) at = this.#under(at) + ((address >>> (24 - depth)) & 255);
    this.#paintWords(at, 2 ** (depth - length), length, ((length << A.LIST_LENGTH_SHIFT) | number) >>> 0);
  }

  #paintWords(at: number, count: number, length: number, word: number): void {
    for (let i = at; i < at + count; i++) {
      const old = this.#trie[i] ?? 0;
      if (old >= A.LIST_CHILD) this.#paintWords((old - A.LIST_CHILD) * BLOCK, BLOCK, length, word);
      else if (old === 0 || old >>> A.LIST_LENGTH_SHIFT < length) this.#putTrie(i, word);
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
