/** The trie of one side of a short list (LIST_ROOT_BITS in dataplane-as/lists/layout.ts): from an address to its longest prefix. */
import * as A from '../../../../dataplane-as/lists/layout.js';
import type { PrefixIndex } from './prefix-index.js';
import type { Scratch } from './scratch.js';
import { ListFullError, type ListWords } from './words.js';

const LINE = A.LIST_TRIE_LINE_WORDS;
/** How many bits of an address have been used when each step down a trie is done. */
const DEPTHS: readonly number[] = [
  A.LIST_ROOT_BITS,
  A.LIST_ROOT_BITS + A.LIST_SECOND_BITS,
  A.LIST_ROOT_BITS + A.LIST_SECOND_BITS + A.LIST_THIRD_BITS,
  32,
];
const ROOT_LINES = 2 ** A.LIST_ROOT_BITS / LINE;
/** Lines a trie of few prefixes gets for more: a prefix takes 24 at most. A list without room is built anew in a fraction of a millisecond. */
const SPARE_LINES = 512;

export class ShortTrie {
  // Until the list is laid out, in the scratch memory; then part of its words.
  #trie: Uint32Array;
  #lines = ROOT_LINES;
  #list: ListWords | null = null;
  #at = 0;

  constructor(
    readonly index: PrefixIndex,
    readonly scratch: Scratch,
  ) {
    this.#trie = scratch.words((ROOT_LINES + 256) * LINE);
  }

  /** Enters all prefixes of the index, in an order with the shorter ones first; by number, the longest one around each, 0 = none. */
  build(order: Uint32Array): Uint32Array {
    const parents = this.scratch.words(this.index.count + 1);
    for (let i = 0; i < order.length; i++) {
      const number = order[i] ?? 0;
      const at = this.#wordFor(number);
      // None inside it is known yet.
      parents[number] = (this.#trie[at] ?? 0) & A.LIST_CLASS;
      this.#trie.fill(this.#wordOf(number), at, at + this.#wordsOf(number));
    }
    return parents;
  }

  /** What tells it from a tree of intervals, which has levels. */
  get levels(): number {
    return 0;
  }

  /** Words it takes, with room to grow. */
  wordsWith(_levels: number): number {
    return Math.ceil(this.#lines * 1.25 + SPARE_LINES) * LINE;
  }

  /** Moves into the list's words. */
  layOut(list: ListWords, at: number, levels: number): void {
    const trie = list.words.subarray(at, at + this.wordsWith(levels));
    trie.set(this.#trie.subarray(0, this.#lines * LINE));
    this.#trie = trie;
    this.#list = list;
    this.#at = at;
  }

  /** Covers a prefix that is new to a list that is laid out, wherever no longer one does. Throws ListFullError. */
  paint(number: number): void {
    this.#paintWords(this.#wordFor(number), this.#wordsOf(number), number, 0);
  }

  #wordOf(number: number): number {
    return (((this.index.lengths[number] ?? 0) << A.LIST_LENGTH_SHIFT) | number) >>> 0;
  }

  /** The first word that is wholly of this prefix; makes the blocks that lead there. */
  #wordFor(number: number): number {
    const address = this.index.addresses[number] ?? 0;
    const length = this.index.lengths[number] ?? 0;
    let depth = A.LIST_ROOT_BITS;
    let at = address >>> (32 - depth);
    for (let level = 1; length > depth; level++) {
      const below = DEPTHS[level] ?? 32;
      const words = 2 ** (below - depth);
      at = this.#under(at, words) + ((address >>> (32 - below)) & (words - 1));
      depth = below;
    }
    return at;
  }

  /** How many words of a block (or the root) a prefix covers. */
  #wordsOf(number: number): number {
    const length = this.index.lengths[number] ?? 0;
    for (const depth of DEPTHS) if (length <= depth) return 2 ** (depth - length);
    return 1;
  }

  /** First of the `words` words of the block under a word; made if there is none. */
  #under(at: number, words: number): number {
    const word = this.#trie[at] ?? 0;
    if (word >= A.LIST_CHILD) return (word - A.LIST_CHILD) * LINE;
    const first = this.#lines * LINE;
    if (first + words > this.#trie.length) {
      if (this.#list !== null) throw new ListFullError('lines of the trie');
      const grown = this.scratch.words(this.#trie.length * 2);
      grown.set(this.#trie);
      this.#trie = grown;
    }
    if (this.#list === null) this.#trie.fill(word, first, first + words);
    else for (let i = first; i < first + words; i++) this.#put(i, word);
    this.#put(at, A.LIST_CHILD + this.#lines);
    this.#lines += words / LINE;
    return first;
  }

  #put(at: number, value: number): void {
    if (this.#list === null) this.#trie[at] = value;
    else this.#list.put(this.#at + at, value);
  }

  /** `level` counts from that of the first words on. */
  #paintWords(at: number, count: number, number: number, level: number): void {
    const length = this.index.lengths[number] ?? 0;
    const depth = DEPTHS.findIndex((d) => length <= d) + level;
    const words = 2 ** ((DEPTHS[depth + 1] ?? 32) - (DEPTHS[depth] ?? 32));
    for (let i = at; i < at + count; i++) {
      const old = this.#trie[i] ?? 0;
      if (old >= A.LIST_CHILD) this.#paintWords((old - A.LIST_CHILD) * LINE, words, number, level + 1);
      else if (old === 0 || old >>> A.LIST_LENGTH_SHIFT < length) this.#put(i, this.#wordOf(number));
    }
  }
}
