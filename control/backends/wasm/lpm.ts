/** Entries of the longest-prefix hash and the bitmap of the lengths in use, by which the pipeline searches it. */
import * as L from '../../../dataplane-as/layout.js';
import type { Key } from '../../ruleset/types.js';
import type { Prefix4 } from './bytes.js';
import type { CellStore, Entry } from './cells.js';
import { type Ledger, TrackedMap } from './ledger.js';

const LENGTHS_UNIT = 'lengths';

export class LongestPrefix {
  readonly #counts: TrackedMap<number, number>;
  #dirty = false;

  constructor(
    readonly ledger: Ledger,
    readonly cells: CellStore,
  ) {
    this.#counts = new TrackedMap(ledger);
  }

  /** Puts or replaces the entry of `unit`; one unit has one entry, and its prefix never changes. */
  set(unit: string, owner: Key, space: number, prefix: Prefix4, value: number): void {
    if (this.cells.get(unit) === undefined) this.#count(space, prefix.length, 1);
    this.cells.set(unit, { owner, entries: [entryOf(space, prefix, value)] });
  }

  delete(unit: string, space: number, prefix: Prefix4): void {
    if (this.cells.get(unit) === undefined) return;
    this.#count(space, prefix.length, -1);
    this.cells.set(unit, null);
  }

  /** Writes the bitmap of lengths if it changed. */
  settle(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    const words = new Array<number>(L.SPACE_COUNT * 2).fill(0);
    for (const [id, count] of this.#counts) {
      if (count === 0) continue;
      const [space, length] = [Math.floor(id / 64), id % 64];
      const at = space * 2 + (length >>> 5);
      words[at] = ((words[at] ?? 0) | (1 << (length & 31))) >>> 0;
    }
    this.cells.set(LENGTHS_UNIT, { owner: 'node', rows: [{ at: L.IMG_LENGTHS4, words }] });
  }

  #count(space: number, length: number, by: number): void {
    const id = space * 64 + length;
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + by);
    this.#dirty = true;
  }
}

function entryOf(space: number, prefix: Prefix4, value: number): Entry {
  const b = (L.LPM_USED | (space << 8) | prefix.length) >>> 0;
  return { table: 'addresses', a: prefix.word, b, value };
}
