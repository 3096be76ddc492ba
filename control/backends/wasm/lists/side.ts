/**
 * One side of a list, source or destination: its prefixes, the trie that leads to the longest one of an address, and for each the
 * class that names the prefixes around it (dataplane-as/lists/layout.ts).
 */
import * as A from '../../../../dataplane-as/lists/layout.js';
import { PrefixIndex } from './prefix-index.js';
import { maskOf } from './rule.js';
import { ListFullError, type ListWords } from './words.js';

const LINE = A.LIST_TRIE_LINE_WORDS;
/** How many bits of an address have been used when each step down a trie is done. */
const DEPTHS = depthsOf(A.LIST_ROOT_BITS, A.LIST_SECOND_BITS, A.LIST_THIRD_BITS);
const SHORT_DEPTHS = depthsOf(A.LIST_SHORT_ROOT_BITS, A.LIST_SHORT_SECOND_BITS, A.LIST_SHORT_THIRD_BITS);
const CLASS = A.CLASS_SIZE / 4;
const PREFIXES = A.CLASS_PREFIXES / 4;
const BOUNDS = A.CLASS_BOUNDS / 4;
const NOWHERE = 255;

export class Side {
  readonly index: PrefixIndex;
  /** By number of a prefix: its place in classes; NOWHERE if it came late and those around and inside it have all. */
  #places = new Uint8Array(0);
  /** By number: the pairs of places that its own rules have, as two words. */
  #tuples = new Uint32Array(0);
  /** By number: the lowest shifted number of its own rules, CLASS_NO_BOUND = it has none. */
  #bounds = new Uint16Array(0);
  /** Prefixes that took the place of one around them, and so have its rules too. */
  readonly #standIns = new Map<number, number[]>();
  /** By number: the longest prefix around it, 0 = none. Right for those that were there when the list was built. */
  #parents = new Uint32Array(0);
  /** By number: how many rules it has, while building. */
  #weights = new Uint32Array(0);
  // Until the list is laid out, both are arrays of their own; then parts of its words.
  #trie: Uint32Array;
  #classes: Uint32Array = new Uint32Array(0);
  #lines: number;
  readonly #depths: readonly number[];
  #list: ListWords | null = null;
  #trieAt = 0;
  #classesAt = 0;
  /** Numbers of the prefixes there were when the list was built, the widest first. */
  #order: Uint32Array = new Uint32Array(0);

  /** @param short the list has the tries of a short one */
  constructor(expected: number, short: boolean) {
    this.index = new PrefixIndex(expected);
    this.#depths = short ? SHORT_DEPTHS : DEPTHS;
    this.#lines = 2 ** (this.#depths[0] ?? 0) / LINE;
    this.#trie = new Uint32Array((this.#lines + 256 + expected) * LINE);
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
    this.#bounds = new Uint16Array(room).fill(A.CLASS_NO_BOUND);
    this.#classes = new Uint32Array(room * CLASS);
    this.#order = byLength(index.lengths, index.count);
    const taken = new Uint8Array(index.count + 1);
    for (const number of this.#order) {
      const address = index.addresses[number] ?? 0;
      const length = index.lengths[number] ?? 0;
      const parent = this.#fill(address, length, number);
      this.#parents[number] = parent;
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

  /** Bytes the parts take, with room to grow. */
  get trieWords(): number {
    return Math.ceil(this.#lines * 1.25 + 512) * LINE;
  }

  get classWords(): number {
    return this.#classes.length;
  }

  /** Moves into the list's words. */
  layOut(list: ListWords, trieAt: number, classesAt: number): void {
    const trie = list.words.subarray(trieAt, trieAt + this.trieWords);
    trie.set(this.#trie.subarray(0, this.#lines * LINE));
    const classes = list.words.subarray(classesAt, classesAt + this.classWords);
    classes.set(this.#classes);
    this.#trie = trie;
    this.#classes = classes;
    this.#list = list;
    this.#trieAt = trieAt;
    this.#classesAt = classesAt;
  }

  /** While building: notes that the prefix has a rule with this pair of places (0-63) and this shifted number. */
  note(number: number, tuple: number, bound: number): void {
    const at = number * 2 + (tuple >> 5);
    this.#tuples[at] = (this.#tuples[at] ?? 0) | (1 << (tuple & 31));
    if (bound < (this.#bounds[number] ?? 0)) this.#bounds[number] = bound;
  }

  /** While building, after all rules were noted: each class gets the pairs and the bounds of all prefixes around it. */
  spread(): void {
    const classes = this.#classes;
    const tuples = this.#tuples;
    for (let at = CLASS; at <= this.index.count * CLASS; at += CLASS) {
      let low = 0;
      let high = 0;
      for (let place = 0; place < A.LIST_PLACES; place++) {
        const around = (classes[at + PREFIXES + place] ?? 0) & A.PREFIX_NUMBER;
        if (around === 0) continue;
        low |= tuples[around * 2] ?? 0;
        high |= tuples[around * 2 + 1] ?? 0;
        const word = at + BOUNDS + (place >> 1);
        classes[word] = (classes[word] ?? 0) | ((this.#bounds[around] ?? 0) << ((place & 1) << 4));
      }
      classes[at] = low;
      classes[at + 1] = high;
    }
  }

  /** Notes a rule's pair of places and its bound in the classes of all addresses of the prefix. The list is laid out. */
  mark(number: number, tuple: number, bound: number): void {
    const at = number * 2 + (tuple >> 5);
    const bit = 1 << (tuple & 31);
    if (((this.#tuples[at] ?? 0) & bit) !== 0 && bound >= (this.#bounds[number] ?? 0)) return;
    this.note(number, tuple, bound);
    const place = this.#places[number] ?? 0;
    for (const inner of [number, ...this.#inside(number)]) {
      const word = inner * CLASS + (tuple >> 5);
      this.#putClass(word, ((this.#classes[word] ?? 0) | bit) >>> 0);
      if (((this.#classes[inner * CLASS + PREFIXES + place] ?? 0) & A.PREFIX_NUMBER) === number)
        this.#putBound(inner, place, this.#bounds[number] ?? 0);
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
    for (const inner of [number, ...inside]) this.#putBound(inner, place, A.CLASS_NO_BOUND);
    this.#paint(address, length, number);
    return number;
  }

  #putClass(at: number, value: number): void {
    this.#list?.put(this.#classesAt + at, value);
  }

  #putBound(number: number, place: number, bound: number): void {
    const at = number * CLASS + BOUNDS + (place >> 1);
    const shift = (place & 1) << 4;
    this.#putClass(at, (((this.#classes[at] ?? 0) & ~(0xffff << shift)) | (bound << shift)) >>> 0);
  }

  /** Gives a prefix a place, where those in `taken` (a bit each) are taken; returns these and its own. */
  #enter(number: number, parent: number, taken: number): number {
    let place = firstFree(taken);
    if (place === NOWHERE) place = this.#standIn(number, parent);
    this.#places[number] = place;
    const at = number * CLASS;
    this.#classes.copyWithin(at, parent * CLASS, parent * CLASS + CLASS);
    this.#classes[at + PREFIXES + place] = this.wordOf(number);
    return taken | (1 << place);
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
    const at = this.#wordFor(address, length);
    const parent = (this.#trie[at] ?? 0) & A.LIST_CLASS;
    const word = ((length << A.LIST_LENGTH_SHIFT) | number) >>> 0;
    this.#trie.fill(word, at, at + this.#wordsOf(length));
    return parent;
  }

  /** The first word that is wholly of this prefix; makes the blocks that lead there. */
  #wordFor(address: number, length: number): number {
    const depths = this.#depths;
    let depth = depths[0] ?? 0;
    let at = address >>> (32 - depth);
    for (let level = 1; length > depth; level++) {
      const below = depths[level] ?? 32;
      const words = 2 ** (below - depth);
      at = this.#under(at, words) + ((address >>> (32 - below)) & (words - 1));
      depth = below;
    }
    return at;
  }

  /** How many words of a block (or the root) a prefix of this length covers. */
  #wordsOf(length: number): number {
    for (const depth of this.#depths) if (length <= depth) return 2 ** (depth - length);
    return 1;
  }

  /** First of the `words` words of the block under a word; made if there is none. */
  #under(at: number, words: number): number {
    const word = this.#trie[at] ?? 0;
    if (word >= A.LIST_CHILD) return (word - A.LIST_CHILD) * LINE;
    const first = this.#lines * LINE;
    if (first + words > this.#trie.length) {
      if (this.#list !== null) throw new ListFullError('lines of the trie');
      const grown = new Uint32Array(this.#trie.length * 2);
      grown.set(this.#trie);
      this.#trie = grown;
    }
    if (this.#list === null) this.#trie.fill(word, first, first + words);
    else for (let i = first; i < first + words; i++) this.#putTrie(i, word);
    this.#putTrie(at, A.LIST_CHILD + this.#lines);
    this.#lines += words / LINE;
    return first;
  }

  #putTrie(at: number, value: number): void {
    if (this.#list === null) this.#trie[at] = value;
    else this.#list.put(this.#trieAt + at, value);
  }

  /** Covers a prefix wherever no longer one does. */
  #paint(address: number, length: number, number: number): void {
    const at = this.#wordFor(address, length);
    const word = ((length << A.LIST_LENGTH_SHIFT) | number) >>> 0;
    this.#paintWords(at, this.#wordsOf(length), length, word, 0);
  }

  /** `level` counts from that of the first words on. */
  #paintWords(at: number, count: number, length: number, word: number, level: number): void {
    const depth = this.#depths.findIndex((d) => length <= d) + level;
    const words = 2 ** ((this.#depths[depth + 1] ?? 32) - (this.#depths[depth] ?? 32));
    for (let i = at; i < at + count; i++) {
      const old = this.#trie[i] ?? 0;
      if (old >= A.LIST_CHILD) this.#paintWords((old - A.LIST_CHILD) * LINE, words, length, word, level + 1);
      else if (old === 0 || old >>> A.LIST_LENGTH_SHIFT < length) this.#putTrie(i, word);
    }
  }
}

function depthsOf(root: number, second: number, third: number): readonly number[] {
  return [root, root + second, root + second + third, 32];
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
