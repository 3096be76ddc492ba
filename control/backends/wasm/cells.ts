/**
 * What lies in an image, as plain data. Every item lowers to one or more units; a unit is a few runs of words and a few hash
 * entries. The store knows what each unit has put into the image; at the end of a transaction the differences become
 * operations, which are played into one image and then into the other.
 */
import type { Key } from '../../ruleset/types.js';
import type { Ledger } from '../ledger.js';
import { TableFullError } from './errors.js';
import type { HashName, ImagePlan } from './image-plan.js';

/** Words at a byte offset from the image's start. Two units never own the same words. */
export interface Row {
  readonly at: number;
  readonly words: ArrayLike<number>;
}

export type KeyRest = readonly [number, number, number];

/** An entry of a hash table; all numbers are u32. */
export interface Entry {
  readonly table: HashName;
  readonly a: number;
  readonly b: number;
  readonly value: number;
  /** In `addresses6`: the address's words behind `a`. */
  readonly rest?: KeyRest;
}

export interface Unit {
  /** The item an error about this unit names. */
  readonly owner: Key;
  readonly rows?: readonly Row[];
  readonly entries?: readonly Entry[];
}

export type Operation =
  | { readonly type: 'clear'; readonly at: number; readonly count: number }
  | { readonly type: 'write'; readonly at: number; readonly words: ArrayLike<number> }
  | {
      readonly type: 'delete';
      readonly table: HashName;
      readonly a: number;
      readonly b: number;
      readonly rest?: KeyRest;
    }
  | { readonly type: 'insert'; readonly entry: Entry };

export class CellStore {
  readonly #units = new Map<string, Unit>();
  /** Units of this transaction, as they were before it. */
  readonly #touched = new Map<string, Unit | undefined>();
  readonly #counts: Record<HashName, number> = { addresses: 0, addresses6: 0, pairs: 0, frontends: 0 };

  constructor(
    readonly ledger: Ledger,
    readonly plan: ImagePlan,
  ) {
    for (const table of Object.keys(this.#counts) as HashName[]) {
      const used = (): number => this.#counts[table];
      ledger.tables.push({
        table,
        limit: plan.hashes[table].limit,
        get used() {
          return used();
        },
      });
    }
  }

  get(id: string): Unit | undefined {
    return this.#units.get(id);
  }

  units(): IterableIterator<[string, Unit]> {
    return this.#units[Symbol.iterator]();
  }

  /** Sets what a unit puts into the image; null takes it away. */
  set(id: string, unit: Unit | null): void {
    const old = this.#units.get(id);
    if (!this.#touched.has(id)) this.#touched.set(id, old);
    this.#replace(id, unit ?? undefined);
    this.ledger.note(() => this.#replace(id, old));
  }

  #replace(id: string, unit: Unit | undefined): void {
    if (unit === undefined) this.#units.delete(id);
    else this.#units.set(id, unit);
  }

  /** Forgets the transaction's differences (it was rolled back). */
  discard(): void {
    this.#touched.clear();
  }

  /**
   * The transaction's differences as operations: what frees room first, then what fills it, so that a row given up by one
   * unit may be taken by another. Throws TableFullError when a hash table would get too full.
   */
  finish(): Operation[] {
    const clears: Operation[] = [];
    const writes: Operation[] = [];
    const counts = { ...this.#counts };
    for (const [id, old] of this.#touched) {
      const unit = this.#units.get(id);
      differRows(old?.rows ?? [], unit?.rows ?? [], clears, writes);
      const entries = differEntries(old?.entries ?? [], unit?.entries ?? [], clears, writes);
      for (const table in entries) counts[table as HashName] += entries[table as HashName] ?? 0;
    }
    const tables = Object.keys(counts) as HashName[];
    const full = tables.some((table) => counts[table] > this.plan.hashes[table].limit);
    for (const id of full ? this.#touched.keys() : []) {
      for (const entry of this.#units.get(id)?.entries ?? []) {
        const { limit } = this.plan.hashes[entry.table];
        if (counts[entry.table] > limit) {
          throw new TableFullError(entry.table, limit, this.#units.get(id)?.owner ?? id);
        }
      }
    }
    const before = { ...this.#counts };
    Object.assign(this.#counts, counts);
    this.ledger.note(() => Object.assign(this.#counts, before));
    this.#touched.clear();
    return [...clears, ...writes];
  }

  /** Operations that write everything into an empty image. */
  everything(): Operation[] {
    const writes: Operation[] = [];
    for (const unit of this.#units.values()) {
      for (const { at, words } of unit.rows ?? []) writes.push({ type: 'write', at, words });
      for (const entry of unit.entries ?? []) writes.push({ type: 'insert', entry });
    }
    return writes;
  }
}

function sameWords(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function differRows(
  old: readonly Row[],
  now: readonly Row[],
  clears: Operation[],
  writes: Operation[],
): void {
  for (const row of old) {
    const same = now.some((r) => r.at === row.at && r.words.length === row.words.length);
    if (!same) clears.push({ type: 'clear', at: row.at, count: row.words.length });
  }
  for (const row of now) {
    const same = old.some((r) => r.at === row.at && sameWords(r.words, row.words));
    if (!same) writes.push({ type: 'write', at: row.at, words: row.words });
  }
}

function differEntries(
  old: readonly Entry[],
  now: readonly Entry[],
  clears: Operation[],
  writes: Operation[],
): Partial<Record<HashName, number>> {
  const counts: Partial<Record<HashName, number>> = {};
  if (old.length === 0) {
    for (const entry of now) {
      counts[entry.table] = (counts[entry.table] ?? 0) + 1;
      writes.push({ type: 'insert', entry });
    }
    return counts;
  }
  const id = (e: Entry): string => `${e.table} ${e.a} ${e.b} ${e.rest?.join(' ') ?? ''}`;
  const before = new Map(old.map((entry) => [id(entry), entry]));
  for (const entry of now) {
    const was = before.get(id(entry));
    if (was === undefined) counts[entry.table] = (counts[entry.table] ?? 0) + 1;
    if (was?.value !== entry.value) writes.push({ type: 'insert', entry });
    before.delete(id(entry));
  }
  for (const { table, a, b, rest } of before.values()) {
    counts[table] = (counts[table] ?? 0) - 1;
    clears.push({ type: 'delete', table, a, b, ...(rest === undefined ? {} : { rest }) });
  }
  return counts;
}
