/** Allocators of table indexes and of runs of table rows. Both can be rolled back (ledger.ts). */
import type { Key } from '../../ruleset/types.js';
import { type Ledger, References, type Restorable, TrackedMap } from '../ledger.js';
import { TableFullError } from './errors.js';

interface Held {
  readonly index: number;
  readonly references: References;
}

/** Indexes for named things, counted references: an index belongs to its name until the last reference is released. */
export class IndexPool {
  readonly #held: TrackedMap<string, Held>;
  readonly #names: TrackedMap<number, string>;
  readonly #free: number[] = [];
  #next: number;
  // For the ledger.
  readonly #given: Restorable<number, null> = { restore: (index) => this.#free.push(index) };
  readonly #givenBack = (): void => {
    this.#free.pop();
  };
  readonly #taken = (): void => {
    this.#next--;
  };

  /** Hands out `first` up to `limit - 1`. */
  constructor(
    readonly ledger: Ledger,
    readonly table: string,
    first: number,
    readonly limit: number,
  ) {
    this.#held = new TrackedMap(ledger);
    this.#names = new TrackedMap(ledger);
    this.#next = first;
    ledger.tables.push(this);
  }

  /** Indexes in use, those below `first` among them. */
  get used(): number {
    return this.#next - this.#free.length;
  }

  get(name: string): number | undefined {
    return this.#held.get(name)?.index;
  }

  nameOf(index: number): string | undefined {
    return this.#names.get(index);
  }

  entries(): IterableIterator<[number, string]> {
    return this.#names[Symbol.iterator]();
  }

  /** Takes a reference; `fresh` when the name had none. `owner` is named by TableFullError. */
  acquire(name: string, owner: Key): { readonly index: number; readonly fresh: boolean } {
    const held = this.#held.get(name);
    if (held !== undefined) {
      held.references.add(1);
      return { index: held.index, fresh: false };
    }
    const index = this.#take(owner);
    this.#held.add(name, { index, references: new References(this.ledger) });
    this.#names.add(index, name);
    return { index, fresh: true };
  }

  /** What has a name gets another one, which nothing has. */
  rename(name: string, now: string): void {
    const held = this.#held.get(name);
    if (held === undefined) return;
    this.#held.delete(name);
    this.#held.add(now, held);
    this.#names.set(held.index, now);
  }

  /** Gives a reference back; true when it was the last one and the index is free again. */
  release(name: string): boolean {
    const held = this.#held.get(name);
    if (held === undefined) return false;
    if (held.references.count > 1) {
      held.references.add(-1);
      return false;
    }
    this.#held.delete(name);
    this.#names.delete(held.index);
    this.#free.push(held.index);
    this.ledger.note(this.#givenBack);
    return true;
  }

  #take(owner: Key): number {
    const reused = this.#free.pop();
    if (reused !== undefined) {
      this.ledger.noteOld(this.#given, reused, null);
      return reused;
    }
    if (this.#next >= this.limit) throw new TableFullError(this.table, this.limit, owner);
    this.ledger.note(this.#taken);
    return this.#next++;
  }
}

/** A run of rows: `size` is what was asked for. */
export interface Span {
  readonly first: number;
  readonly size: number;
}

const NO_SPAN: Span = { first: 0, size: 0 };

/** Runs of rows by the buddy method: sizes are rounded up to powers of two, freed neighbours join again. */
export class SpanPool implements Restorable<number, number> {
  readonly #free: Set<number>[];

  /** `capacity` must be a power of two. */
  constructor(
    readonly ledger: Ledger,
    readonly table: string,
    readonly capacity: number,
  ) {
    const top = 31 - Math.clz32(capacity);
    this.#free = Array.from({ length: top + 1 }, () => new Set<number>());
    this.#free[top]?.add(0);
    ledger.tables.push(this);
  }

  get limit(): number {
    return this.capacity;
  }

  /** Rows in use, with what rounding up to powers of two costs. */
  get used(): number {
    return this.capacity - this.#free.reduce((sum, runs, order) => sum + (runs.size << order), 0);
  }

  /** `size` 0 takes nothing. Throws TableFullError. */
  allocate(size: number, owner: Key): Span {
    if (size === 0) return NO_SPAN;
    const order = orderOf(size);
    let from = order;
    while (from < this.#free.length && this.#free[from]?.size === 0) from++;
    const first = this.#free[from]?.values().next().value;
    if (first === undefined) throw new TableFullError(this.table, this.capacity, owner);
    this.#remove(from, first);
    for (; from > order; from--) this.#add(from - 1, first + (1 << (from - 1)));
    return { first, size };
  }

  release(span: Span): void {
    if (span.size === 0) return;
    let order = orderOf(span.size);
    let first = span.first;
    for (; order < this.#free.length - 1; order++) {
      const buddy = first ^ (1 << order);
      if (!this.#free[order]?.has(buddy)) break;
      this.#remove(order, buddy);
      first = Math.min(first, buddy);
    }
    this.#add(order, first);
  }

  /** For the ledger: a run of `order` that was free, or (as its complement) was not. */
  restore(first: number, order: number): void {
    if (order >= 0) this.#free[order]?.add(first);
    else this.#free[~order]?.delete(first);
  }

  #add(order: number, first: number): void {
    this.#free[order]?.add(first);
    this.ledger.noteOld(this, first, ~order);
  }

  #remove(order: number, first: number): void {
    this.#free[order]?.delete(first);
    this.ledger.noteOld(this, first, order);
  }
}

function orderOf(size: number): number {
  return size <= 1 ? 0 : 32 - Math.clz32(size - 1);
}
