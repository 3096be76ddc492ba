/**
 * The tries of an image (TRIE_ROOT_BITS in dataplane-as/layout): every word says which prefix is the longest for all addresses below it. A
 * prefix that comes or goes changes the words it covers and no others; lines that say the same everywhere are given back.
 */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Key } from '../../ruleset/types.js';
import { type Ledger, TrackedMap } from '../ledger.js';
import { mask4, type Prefix4 } from './bytes.js';
import type { CellStore } from './cells.js';
import { TableFullError } from './errors.js';

const LINE = L.TRIE_LINE_SIZE / 4;
const ROOTS = L.SPACE_COUNT * L.TRIE_ROOT_LINES;
const LENGTH = 0x7f;

export class PrefixTrie {
  /** All lines; those not in use are 0. Grows with use. */
  #words = new Uint32Array(ROOTS * LINE);
  #lines = ROOTS;
  readonly #free: number[] = [];
  /** Lines changed since the last `settle`, with somebody to blame. */
  #dirty = new Map<number, Key>();
  /** Space and prefix (see `idOf`) -> value. */
  readonly #known: TrackedMap<number, number>;

  constructor(
    readonly ledger: Ledger,
    readonly cells: CellStore,
  ) {
    this.#known = new TrackedMap(ledger);
  }

  /** Puts a prefix shorter than /32, or gives it another value. Throws TableFullError, which names `owner`. */
  set(space: number, prefix: Prefix4, value: number, owner: Key): void {
    this.#known.set(idOf(space, prefix.host, prefix.length), value);
    this.#cover(space, prefix, wordOf(prefix.length, value), owner);
  }

  /** Takes a prefix away; what covered it otherwise holds again. */
  delete(space: number, prefix: Prefix4, owner: Key): void {
    this.#known.delete(idOf(space, prefix.host, prefix.length));
    this.#cover(space, prefix, this.#wider(space, prefix), owner);
    this.#collapse(space, prefix, owner);
  }

  /** Units of the lines that lead to this prefix and of those it fills, for reading them back. */
  unitsOf(space: number, prefix: Prefix4): string[] {
    const path = this.#path(space, prefix);
    const lines = path.map((at) => Math.floor(at / LINE));
    // Short prefixes fill many lines of the root.
    const words = 2 ** Math.max(0, L.TRIE_ROOT_BITS - prefix.length);
    for (let i = 1; i < words / LINE; i++) lines.push((lines[0] ?? 0) + i);
    return lines.map(unitOf);
  }

  /** Hands the changed lines to the cells. */
  settle(): void {
    for (const [line, owner] of this.#dirty) {
      const words = this.#words.slice(line * LINE, (line + 1) * LINE);
      // A line in use has something to tell apart, so some word is not 0.
      const used = words.some((word) => word !== 0);
      const at = this.cells.plan.trie + line * L.TRIE_LINE_SIZE;
      this.cells.set(unitOf(line), used ? { owner, rows: [{ at, words }] } : null);
    }
    this.#dirty = new Map();
  }

  /** Forgets what was noted since the last `settle` (the transaction was rolled back). */
  discard(): void {
    this.#dirty = new Map();
  }

  /** The longest prefix around this one, as a word. */
  #wider(space: number, { host, length }: Prefix4): number {
    for (let shorter = length - 1; shorter >= 0; shorter--) {
      const value = this.#known.get(idOf(space, (host & mask4(shorter)) >>> 0, shorter));
      if (value !== undefined) return wordOf(shorter, value);
    }
    return 0;
  }

  /** Writes a word wherever this prefix or one around it decides. */
  #cover(space: number, prefix: Prefix4, word: number, owner: Key): void {
    let at = rootOf(space, prefix.host);
    let depth = L.TRIE_ROOT_BITS;
    for (; prefix.length > depth; depth += 4) {
      at = this.#lineUnder(at, owner) + ((prefix.host >>> (28 - depth)) & 15);
    }
    for (let i = 0; i < 2 ** (depth - prefix.length); i++) this.#paint(at + i, prefix.length, word, owner);
  }

  #paint(at: number, length: number, word: number, owner: Key): void {
    const old = this.#words[at] ?? 0;
    if (old >= L.TRIE_CHILD) {
      const line = (old - L.TRIE_CHILD) * LINE;
      for (let i = 0; i < LINE; i++) this.#paint(line + i, length, word, owner);
    } else if (lengthOf(old) <= length) this.#write(at, word, owner);
  }

  /** The first word of the line under a word; makes one that says the same. */
  #lineUnder(at: number, owner: Key): number {
    const word = this.#words[at] ?? 0;
    if (word >= L.TRIE_CHILD) return (word - L.TRIE_CHILD) * LINE;
    const line = this.#take(owner);
    for (let i = 0; i < LINE; i++) this.#write(line * LINE + i, word, owner);
    this.#write(at, L.TRIE_CHILD + line, owner);
    return line * LINE;
  }

  /** Gives the lines on the way to a prefix back that no longer tell anything apart. */
  #collapse(space: number, prefix: Prefix4, owner: Key): void {
    for (const at of this.#path(space, prefix).reverse()) {
      const word = this.#words[at] ?? 0;
      if (word < L.TRIE_CHILD) continue;
      const line = word - L.TRIE_CHILD;
      const first = this.#words[line * LINE] ?? 0;
      for (let i = 0; i < LINE; i++) {
        const one = this.#words[line * LINE + i] ?? 0;
        if (one >= L.TRIE_CHILD || one !== first) return;
      }
      for (let i = 0; i < LINE; i++) this.#write(line * LINE + i, 0, owner);
      this.#free.push(line);
      this.ledger.note(() => this.#free.pop());
      this.#write(at, first, owner);
    }
  }

  /** Places of the words on the way to a prefix, from the root on. */
  #path(space: number, prefix: Prefix4): number[] {
    const path = [rootOf(space, prefix.host)];
    for (let depth = L.TRIE_ROOT_BITS; prefix.length > depth; depth += 4) {
      const word = this.#words[path.at(-1) ?? 0] ?? 0;
      if (word < L.TRIE_CHILD) break;
      path.push((word - L.TRIE_CHILD) * LINE + ((prefix.host >>> (28 - depth)) & 15));
    }
    return path;
  }

  #take(owner: Key): number {
    const reused = this.#free.pop();
    if (reused !== undefined) {
      this.ledger.note(() => this.#free.push(reused));
      return reused;
    }
    const limit = this.cells.plan.size.trieLines;
    if (this.#lines - ROOTS >= limit) throw new TableFullError('prefix lines', limit, owner);
    const line = this.#lines++;
    this.ledger.note(() => this.#lines--);
    if (this.#words.length < (line + 1) * LINE) {
      const grown = new Uint32Array(this.#words.length * 2);
      grown.set(this.#words);
      this.#words = grown;
    }
    return line;
  }

  #write(at: number, word: number, owner: Key): void {
    const old = this.#words[at] ?? 0;
    if (old === word) return;
    this.#words[at] = word;
    this.ledger.note(() => {
      this.#words[at] = old;
    });
    this.#dirty.set(Math.floor(at / LINE), owner);
  }
}

function wordOf(length: number, value: number): number {
  return (length + 1) * 2 ** L.TRIE_LENGTH_SHIFT + value;
}

/** -1 for the word that stands for no prefix. */
function lengthOf(word: number): number {
  return ((word >>> L.TRIE_LENGTH_SHIFT) & LENGTH) - 1;
}

function rootOf(space: number, host: number): number {
  return space * L.TRIE_ROOT_LINES * LINE + (host >>> (32 - L.TRIE_ROOT_BITS));
}

/** Unique for a prefix of a space, and below 2^53. */
function idOf(space: number, host: number, length: number): number {
  return (space * 64 + length) * 2 ** 32 + host;
}

function unitOf(line: number): string {
  return `trie ${line}`;
}
