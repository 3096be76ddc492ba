/**
 * Longest prefixes of an image. IPv4: each is an entry of the hash, and those that hold several addresses are in the trie too. IPv6:
 * lpm6.ts.
 */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Key } from '../../ruleset/types.js';
import type { Ledger } from '../ledger.js';
import type { Prefix4 } from './bytes.js';
import { isPrefix6, type Prefix } from './bytes6.js';
import type { CellStore, Entry, UnitId } from './cells.js';
import { LENGTHS6_UNIT, LongestPrefix6 } from './lpm6.js';
import { PrefixTrie } from './prefix-trie.js';

export class LongestPrefix {
  readonly #trie: PrefixTrie;
  readonly #six: LongestPrefix6;

  constructor(
    ledger: Ledger,
    readonly cells: CellStore,
  ) {
    this.#trie = new PrefixTrie(ledger, cells);
    this.#six = new LongestPrefix6(ledger, cells);
  }

  /** Puts or replaces the entry of `unit`; one unit has one entry, and its prefix never changes. `value` has at most 24 bits. */
  set(unit: UnitId, owner: Key, space: number, prefix: Prefix, value: number): void {
    if (isPrefix6(prefix)) {
      this.#six.set(unit, owner, space, prefix, value);
      return;
    }
    this.cells.set(unit, { owner, entries: [entryOf(space, prefix, value)] });
    if (prefix.length < 32) this.#trie.set(space, prefix, value, owner);
  }

  delete(unit: UnitId, space: number, prefix: Prefix): void {
    if (isPrefix6(prefix)) {
      this.#six.delete(unit, space, prefix);
      return;
    }
    const old = this.cells.get(unit);
    if (old === undefined) return;
    this.cells.set(unit, null);
    if (prefix.length < 32) this.#trie.delete(space, prefix, old.owner);
  }

  /** The units besides its own by which a prefix is found. */
  unitsOf(space: number, prefix: Prefix): string[] {
    if (isPrefix6(prefix)) return [LENGTHS6_UNIT];
    return prefix.length < 32 ? this.#trie.unitsOf(space, prefix) : [];
  }

  /** Writes what changed of the trie. */
  settle(): void {
    this.#trie.settle();
    this.#six.settle();
  }

  /** Forgets what was noted since the last `settle` (the transaction was rolled back). */
  discard(): void {
    this.#trie.discard();
    this.#six.discard();
  }
}

function entryOf(space: number, prefix: Prefix4, value: number): Entry {
  const b = (L.LPM_USED | (space << 8) | prefix.length) >>> 0;
  return { table: 'addresses', a: prefix.word, b, value };
}
