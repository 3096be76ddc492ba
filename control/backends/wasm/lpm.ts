/** Longest prefixes of an image: each is an entry of the hash, and those that hold several addresses are in the trie too. */
import * as L from '../../../dataplane-as/layout.js';
import type { Key } from '../../ruleset/types.js';
import type { Prefix4 } from './bytes.js';
import type { CellStore, Entry } from './cells.js';
import type { Ledger } from './ledger.js';
import { PrefixTrie } from './prefix-trie.js';

export class LongestPrefix {
  readonly #trie: PrefixTrie;

  constructor(
    ledger: Ledger,
    readonly cells: CellStore,
  ) {
    this.#trie = new PrefixTrie(ledger, cells);
  }

  /** Puts or replaces the entry of `unit`; one unit has one entry, and its prefix never changes. `value` has at most 24 bits. */
  set(unit: string, owner: Key, space: number, prefix: Prefix4, value: number): void {
    this.cells.set(unit, { owner, entries: [entryOf(space, prefix, value)] });
    if (prefix.length < 32) this.#trie.set(space, prefix, value, owner);
  }

  delete(unit: string, space: number, prefix: Prefix4): void {
    const old = this.cells.get(unit);
    if (old === undefined) return;
    this.cells.set(unit, null);
    if (prefix.length < 32) this.#trie.delete(space, prefix, old.owner);
  }

  /** The units besides its own by which a prefix is found. */
  unitsOf(space: number, prefix: Prefix4): string[] {
    return prefix.length < 32 ? this.#trie.unitsOf(space, prefix) : [];
  }

  /** Writes what changed of the trie. */
  settle(): void {
    this.#trie.settle();
  }

  /** Forgets what was noted since the last `settle` (the transaction was rolled back). */
  discard(): void {
    this.#trie.discard();
  }
}

function entryOf(space: number, prefix: Prefix4, value: number): Entry {
  const b = (L.LPM_USED | (space << 8) | prefix.length) >>> 0;
  return { table: 'addresses', a: prefix.word, b, value };
}
