/** A table of bounded size, as those who watch how full it gets see it. */
export interface BoundedTable {
  readonly table: string;
  readonly used: number;
  readonly limit: number;
}

/**
 * State that can be taken back: every change notes its undo in a ledger, and a failed transaction is rolled back in reverse
 * order. So lowering may fail anywhere and leave nothing behind.
 */
export class Ledger {
  readonly #undo: (() => void)[] = [];
  /** Every table whose room is handed out under this ledger. */
  readonly tables: BoundedTable[] = [];

  note(undo: () => void): void {
    this.#undo.push(undo);
  }

  commit(): void {
    this.#undo.length = 0;
  }

  rollback(): void {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) undo();
  }
}

/** A map whose changes are noted in a ledger. Values are treated as immutable: replace, never change in place. */
export class TrackedMap<K, V> implements Iterable<[K, V]> {
  readonly #map = new Map<K, V>();

  constructor(readonly ledger: Ledger) {}

  get size(): number {
    return this.#map.size;
  }

  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  has(key: K): boolean {
    return this.#map.has(key);
  }

  keys(): IterableIterator<K> {
    return this.#map.keys();
  }

  values(): IterableIterator<V> {
    return this.#map.values();
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.#map[Symbol.iterator]();
  }

  set(key: K, value: V): void {
    this.#noteOld(key);
    this.#map.set(key, value);
  }

  delete(key: K): void {
    if (!this.#map.has(key)) return;
    this.#noteOld(key);
    this.#map.delete(key);
  }

  #noteOld(key: K): void {
    const map = this.#map;
    if (map.has(key)) {
      const old = map.get(key) as V;
      this.ledger.note(() => map.set(key, old));
    } else {
      this.ledger.note(() => map.delete(key));
    }
  }
}

/** A tracked map of sets: key -> members. */
export class TrackedIndex<K, M> {
  readonly #map = new Map<K, Set<M>>();

  constructor(readonly ledger: Ledger) {}

  get(key: K): ReadonlySet<M> {
    return this.#map.get(key) ?? new Set();
  }

  add(key: K, member: M): void {
    const members = this.#map.get(key) ?? new Set();
    if (members.has(member)) return;
    this.#put(key, members, member);
    this.ledger.note(() => this.#drop(key, members, member));
  }

  delete(key: K, member: M): void {
    const members = this.#map.get(key);
    if (members === undefined || !members.has(member)) return;
    this.#drop(key, members, member);
    this.ledger.note(() => this.#put(key, members, member));
  }

  #put(key: K, members: Set<M>, member: M): void {
    members.add(member);
    this.#map.set(key, members);
  }

  #drop(key: K, members: Set<M>, member: M): void {
    members.delete(member);
    if (members.size === 0) this.#map.delete(key);
  }
}
