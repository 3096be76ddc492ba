/**
 * What lies in an image, as plain data. Every item lowers to one or more units; a unit is a few runs of words and a few hash
 * entries. The store knows what each unit has put into the image; at the end of a transaction the differences become
 * operations, which are played into one image and then into the other.
 */
import type { Key } from '../../ruleset/types.js';
import type { Ledger, Restorable } from '../ledger.js';
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

/**
 * A unit's name. Where there are very many of a kind they are numbers: addresses' words as signed 32 bits, port sets from
 * FIRST_PORT_SET_UNIT, pairs from FIRST_PAIR_UNIT (up to 2^52), frontends from FIRST_FRONTEND_UNIT.
 */
export type UnitId = string | number;

export const FIRST_PORT_SET_UNIT = 2 ** 36;
export const FIRST_PAIR_UNIT = 2 ** 40;
export const FIRST_FRONTEND_UNIT = 2 ** 52;

interface Slot {
  readonly id: UnitId;
  /** What holds now; undefined: nothing, and the store forgets the slot. */
  unit: Unit | undefined;
  /** Touched in this transaction, before which `before` held. */
  touched: boolean;
  before: Unit | undefined;
  /** The ledger's latest transaction that notes what held before it. */
  noted: number;
}

export class CellStore implements Restorable<Slot, Unit | undefined> {
  readonly #slots = new Map<UnitId, Slot>();
  /** Those of this transaction. */
  readonly #touched: Slot[] = [];
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

  get(id: UnitId): Unit | undefined {
    return this.#slots.get(id)?.unit;
  }

  *units(): Iterable<[UnitId, Unit]> {
    for (const { id, unit } of this.#slots.values()) if (unit !== undefined) yield [id, unit];
  }

  /** Sets what a unit puts into the image; null takes it away. */
  set(id: UnitId, unit: Unit | null): void {
    let slot = this.#slots.get(id);
    if (slot === undefined) {
      slot = { id, unit: undefined, touched: false, before: undefined, noted: -1 };
      this.#slots.set(id, slot);
    }
    if (!slot.touched) {
      slot.touched = true;
      slot.before = slot.unit;
      this.#touched.push(slot);
    }
    if (slot.noted !== this.ledger.transaction) {
      slot.noted = this.ledger.transaction;
      this.ledger.noteOld(this, slot, slot.unit);
    }
    slot.unit = unit ?? undefined;
  }

  /** For the ledger. */
  restore(slot: Slot, unit: Unit | undefined): void {
    slot.unit = unit;
    if (unit === undefined) this.#slots.delete(slot.id);
    else this.#slots.set(slot.id, slot);
  }

  /** Forgets the transaction's differences (it was rolled back). */
  discard(): void {
    for (const slot of this.#touched) {
      slot.touched = false;
      slot.before = undefined;
    }
    this.#touched.length = 0;
  }

  /**
   * The transaction's differences as operations: what frees room first, then what fills it, so that a row given up by one
   * unit may be taken by another. Throws TableFullError when a hash table would get too full.
   */
  finish(): Operation[] {
    const clears: Operation[] = [];
    const writes: Operation[] = [];
    const counts = { ...this.#counts };
    for (const { before, unit } of this.#touched) {
      differRows(before?.rows ?? NO_ROWS, unit?.rows ?? NO_ROWS, clears, writes);
      differEntries(before?.entries ?? NO_ENTRIES, unit?.entries ?? NO_ENTRIES, clears, writes, counts);
    }
    const tables = Object.keys(counts) as HashName[];
    const full = tables.some((table) => counts[table] > this.plan.hashes[table].limit);
    for (const { id, unit } of full ? this.#touched : []) {
      for (const entry of unit?.entries ?? []) {
        const { limit } = this.plan.hashes[entry.table];
        if (counts[entry.table] > limit) throw new TableFullError(entry.table, limit, unit?.owner ?? `${id}`);
      }
    }
    const before = { ...this.#counts };
    Object.assign(this.#counts, counts);
    this.ledger.note(() => Object.assign(this.#counts, before));
    for (const slot of this.#touched) if (slot.unit === undefined) this.#slots.delete(slot.id);
    this.discard();
    return clears.length === 0 ? writes : [...clears, ...writes];
  }

  /** Operations that write everything into an empty image. */
  everything(): Operation[] {
    const writes: Operation[] = [];
    for (const [, unit] of this.units()) {
      for (const { at, words } of unit.rows ?? []) writes.push({ type: 'write', at, words });
      for (const entry of unit.entries ?? []) writes.push({ type: 'insert', entry });
    }
    return writes;
  }
}

const NO_ROWS: readonly Row[] = [];
const NO_ENTRIES: readonly Entry[] = [];

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

/** Notes in `counts` how many entries more, or fewer, each table has then. */
function differEntries(
  old: readonly Entry[],
  now: readonly Entry[],
  clears: Operation[],
  writes: Operation[],
  counts: Record<HashName, number>,
): void {
  if (old.length === 0 || now.length === 0) {
    for (const entry of old) clears.push(removalOf(entry, counts));
    for (const entry of now) {
      counts[entry.table]++;
      writes.push({ type: 'insert', entry });
    }
    return;
  }
  const [was] = old;
  const [is] = now;
  // Nearly all: one entry, which gets another value.
  if (old.length === 1 && now.length === 1 && was !== undefined && is !== undefined && sameKey(was, is)) {
    if (was.value !== is.value) writes.push({ type: 'insert', entry: is });
    return;
  }
  const id = (e: Entry): string => `${e.table} ${e.a} ${e.b} ${e.rest?.join(' ') ?? ''}`;
  const before = new Map(old.map((entry) => [id(entry), entry]));
  for (const entry of now) {
    const was = before.get(id(entry));
    if (was === undefined) counts[entry.table]++;
    if (was?.value !== entry.value) writes.push({ type: 'insert', entry });
    before.delete(id(entry));
  }
  for (const entry of before.values()) clears.push(removalOf(entry, counts));
}

function sameKey(a: Entry, b: Entry): boolean {
  return a.table === b.table && a.a === b.a && a.b === b.b && a.rest === undefined && b.rest === undefined;
}

function removalOf({ table, a, b, rest }: Entry, counts: Record<HashName, number>): Operation {
  counts[table]--;
  return rest === undefined ? { type: 'delete', table, a, b } : { type: 'delete', table, a, b, rest };
}
