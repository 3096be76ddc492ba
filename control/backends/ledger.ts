/** A table of bounded size, as those who watch how full it gets see it. */
export interface BoundedTable {
  readonly table: string;
  readonly used: number;
  readonly limit: number;
}

/** Something that can put back what it held under a key. */
export interface Restorable<K, O> {
  restore(key: K, old: O): void;
}

/** Of notes: what a larger transaction took is given back. */
const MOST_KEPT = 2 ** 16;

/**
 * State that can be taken back: every change notes its undo in a ledger, and a failed transaction is rolled back in reverse
 * order. So lowering may fail anywhere and leave nothing behind.
 */
export class Ledger {
  // What to undo, in parallel arrays: with a source, its key and what was there; or a function alone.
  // The arrays stay as long as they were: most transactions need as much as the one before.
  readonly #sources: (Restorable<unknown, unknown> | (() => void) | undefined)[] = [];
  readonly #keys: unknown[] = [];
  readonly #olds: unknown[] = [];
  #count = 0;
  #transaction = 0;
  /** Every table whose room is handed out under this ledger. */
  readonly tables: BoundedTable[] = [];

  /** Another number after each commit or rollback. What was noted once in a transaction need not be noted again. */
  get transaction(): number {
    return this.#transaction;
  }

  note(undo: () => void): void {
    this.#push(undo, undefined, undefined);
  }

  /** The same as `note(() => source.restore(key, old))`, with nothing made for it. */
  noteOld<K, O>(source: Restorable<K, O>, key: K, old: O): void {
    this.#push(source, key, old);
  }

  commit(): void {
    this.#transaction++;
    const count = this.#count;
    this.#count = 0;
    for (const list of [this.#sources, this.#keys, this.#olds]) {
      if (list.length > MOST_KEPT) list.length = 0;
      else list.fill(undefined, 0, count);
    }
  }

  rollback(): void {
    this.#transaction++;
    while (this.#count > 0) {
      const last = --this.#count;
      const source = this.#sources[last];
      if (typeof source === 'function') source();
      else source?.restore(this.#keys[last], this.#olds[last]);
    }
    for (const list of [this.#sources, this.#keys, this.#olds]) list.length = 0;
  }

  #push(source: Restorable<unknown, unknown> | (() => void), key: unknown, old: unknown): void {
    const at = this.#count++;
    this.#sources[at] = source;
    this.#keys[at] = key;
    this.#olds[at] = old;
  }
}

/** Counted references; one when made. */
export class References implements Restorable<null, number> {
  #count = 1;
  #noted: number;

  constructor(readonly ledger: Ledger) {
    this.#noted = ledger.transaction;
  }

  get count(): number {
    return this.#count;
  }

  add(references: number): void {
    if (this.#noted !== this.ledger.transaction) {
      this.#noted = this.ledger.transaction;
      this.ledger.noteOld(this, null, this.#count);
    }
    this.#count += references;
  }

  restore(_key: null, count: number): void {
    this.#count = count;
  }
}

const ABSENT = Symbol('absent');

/** A map whose changes are noted in a ledger. Values are never undefined, and treated as immutable: replace, never change in place. */
export class TrackedMap<K, V> implements Iterable<[K, V]>, Restorable<K, V | typeof ABSENT> {
  readonly #map = new Map<K, V>();
  /** The transaction whose changes need not be noted. */
  readonly #free: number;

  /**
   * @param isPart it is made in a transaction, and is reached only by what that transaction notes: if it is rolled back, nobody has the
   * map any more
   */
  constructor(
    readonly ledger: Ledger,
    isPart = false,
  ) {
    this.#free = isPart ? ledger.transaction : -1;
  }

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
    const old = this.#map.get(key);
    this.#note(key, old === undefined ? ABSENT : old);
    this.#map.set(key, value);
  }

  /** The same for a key that is known not to be there. */
  add(key: K, value: V): void {
    this.#note(key, ABSENT);
    this.#map.set(key, value);
  }

  delete(key: K): void {
    const old = this.#map.get(key);
    if (old === undefined) return;
    this.#note(key, old);
    this.#map.delete(key);
  }

  #note(key: K, old: V | typeof ABSENT): void {
    if (this.ledger.transaction !== this.#free) this.ledger.noteOld<K, V | typeof ABSENT>(this, key, old);
  }

  /** For the ledger. */
  restore(key: K, old: V | typeof ABSENT): void {
    if (old === ABSENT) this.#map.delete(key);
    else this.#map.set(key, old);
  }
}

/** A tracked map of sets: key -> members. */
export class TrackedIndex<K, M> {
  readonly #map = new Map<K, Set<M>>();
  readonly #added: Restorable<K, M> = { restore: (key, member) => this.#drop(key, member) };
  readonly #deleted: Restorable<K, M> = { restore: (key, member) => this.#put(key, member) };

  constructor(readonly ledger: Ledger) {}

  get(key: K): ReadonlySet<M> {
    return this.#map.get(key) ?? NOTHING;
  }

  add(key: K, member: M): void {
    if (this.#map.get(key)?.has(member) === true) return;
    this.#put(key, member);
    this.ledger.noteOld(this.#added, key, member);
  }

  delete(key: K, member: M): void {
    if (this.#map.get(key)?.has(member) !== true) return;
    this.#drop(key, member);
    this.ledger.noteOld(this.#deleted, key, member);
  }

  #put(key: K, member: M): void {
    const members = this.#map.get(key);
    if (members === undefined) this.#map.set(key, new Set([member]));
    else members.add(member);
  }

  #drop(key: K, member: M): void {
    const members = this.#map.get(key);
    members?.delete(member);
    if (members?.size === 0) this.#map.delete(key);
  }
}

const NOTHING: ReadonlySet<never> = new Set<never>();
