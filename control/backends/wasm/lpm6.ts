/** Longest prefixes of IPv6: entries of their hash, and the bitmaps of the lengths in use, by which the pipeline searches it. */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Key } from '../../ruleset/types.js';
import { type Ledger, TrackedMap } from '../ledger.js';
import type { Prefix6 } from './bytes6.js';
import type { CellStore, UnitId } from './cells.js';

export const LENGTHS6_UNIT = 'lengths6';
const WORDS_OF_SPACE = 6;

export class LongestPrefix6 {
  /** space * 256 + length -> how many prefixes. */
  readonly #counts: TrackedMap<number, number>;
  #dirty = false;

  constructor(
    ledger: Ledger,
    readonly cells: CellStore,
  ) {
    this.#counts = new TrackedMap(ledger);
  }

  /** Puts or replaces the entry of `unit`; one unit has one entry, and its prefix never changes. */
  set(unit: UnitId, owner: Key, space: number, { words, length }: Prefix6, value: number): void {
    if (this.cells.get(unit) === undefined) this.#count(space, length, 1);
    const [a, ...rest] = words;
    const b = (L.LPM_USED | (space << 8) | length) >>> 0;
    this.cells.set(unit, { owner, entries: [{ table: 'addresses6', a, b, rest, value }] });
  }

  delete(unit: UnitId, space: number, { length }: Prefix6): void {
    if (this.cells.get(unit) === undefined) return;
    this.#count(space, length, -1);
    this.cells.set(unit, null);
  }

  /** Writes the bitmaps if they changed. */
  settle(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    const words = new Array<number>(L.SPACE6_COUNT * WORDS_OF_SPACE).fill(0);
    for (const [id, count] of this.#counts) {
      if (count === 0) continue;
      const [space, length] = [id >>> 8, id & 255];
      const at = space * WORDS_OF_SPACE + (length >>> 5);
      words[at] = ((words[at] ?? 0) | (1 << (length & 31))) >>> 0;
    }
    this.cells.set(LENGTHS6_UNIT, { owner: 'node', rows: [{ at: L.IMG_LENGTHS6, words }] });
  }

  /** Forgets that something changed (the transaction was rolled back). */
  discard(): void {
    this.#dirty = false;
  }

  #count(space: number, length: number, by: number): void {
    const id = (space << 8) | length;
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + by);
    this.#dirty = true;
  }
}
