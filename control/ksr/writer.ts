/**
 * Makes the store hold what is wanted: compares, writes only differences, in transactions that count only while we lead. It
 * follows the store as well, so that what somebody else changed there is put right.
 */
import { errorText } from '../common/errors.js';
import { COMPLETE_KEY, OBJECTS_PREFIX } from '../objects/stored-keys.js';
import {
  type Condition,
  MAX_OPERATIONS,
  type Operation,
  type Store,
  type StoreEvent,
  type Watch,
} from '../store/store.js';
import { LeadershipLostError, MarkRemovedError, ObjectsRemovedError } from './errors.js';
import { orderOf } from './resources.js';
import type { Wanted } from './wanted.js';

export interface WriterHandler {
  /** An operation was acknowledged. */
  written(operation: 'add' | 'update' | 'delete', kind: string): void;
  /** Nothing more can be done with this writer: sweep again with a new one. */
  failed(error: Error): void;
}

interface Held {
  readonly json: string;
  readonly revision: number;
}

/** Transactions under way at a time, and characters in one (etcd takes 1.5 MiB). */
const PARALLEL = 8;
const BATCH_CHARACTERS = 400_000;

export class Writer {
  /** What the store holds, as far as we know. */
  readonly #held = new Map<string, Held>();
  readonly #dirty = new Set<string>();
  /** Deletions told while writes are under way: a write that is acknowledged later may be older. Key -> revision. */
  readonly #gone = new Map<string, number>();
  #watches: Watch[] = [];
  #flushing: Promise<void> | null = null;
  #closed = false;
  #error: Error | null = null;

  constructor(
    private readonly store: Store,
    private readonly wanted: Wanted,
    private readonly condition: Condition,
    private readonly handler: WriterHandler,
  ) {}

  /** Keys that wait to be written. */
  get behind(): number {
    return this.#dirty.size;
  }

  /**
   * Mark and sweep: reads the store, brings it to what is wanted, and says so in it. Resolves when done. Throws
   * what the store throws, LeadershipLostError.
   */
  async sweep(): Promise<void> {
    const { entries, revision } = await this.store.list(OBJECTS_PREFIX);
    this.#checkOpen();
    for (const { key, value, revision: at } of entries) {
      // One text for what is the same: there may be a hundred thousand.
      const wanted = this.wanted.get(key);
      this.#held.set(key, { json: value === wanted ? wanted : value, revision: at });
      if (value !== wanted) this.#dirty.add(key);
    }
    for (const key of this.wanted.keys()) if (!this.#held.has(key)) this.#dirty.add(key);
    this.#watch(OBJECTS_PREFIX, revision, (events) => this.#follow(events));
    const marker = await this.store.get(COMPLETE_KEY);
    if (marker !== null && entries.length === 0 && this.#dirty.size > 0) {
      // Somebody removed the objects alone: who reads them now must not believe what is there.
      await this.#transact([{ type: 'delete', key: COMPLETE_KEY }]);
    }
    await this.#clean();
    const value = JSON.stringify({ time: new Date().toISOString() });
    if (marker === null || entries.length === 0) {
      const marked = await this.#transact([{ type: 'put', key: COMPLETE_KEY, value }]);
      this.#watchMark(marked);
    } else this.#watchMark(revision);
  }

  /** These keys may differ from what is wanted; they are written soon. */
  touch(keys: readonly string[]): void {
    for (const key of keys) this.#dirty.add(key);
    if (!this.#closed && this.#dirty.size > 0) void this.#flush();
  }

  close(): void {
    this.#closed = true;
    for (const watch of this.#watches) watch.close();
    this.#watches = [];
  }

  #checkOpen(): void {
    if (this.#error !== null) throw this.#error;
    if (this.#closed) throw new LeadershipLostError('writing has ended');
  }

  #watch(prefix: string, revision: number, events: (events: readonly StoreEvent[]) => void): void {
    this.#checkOpen();
    this.#watches.push(this.store.watch(prefix, revision, { events, lost: (reason) => this.#fail(reason) }));
  }

  /** Without the mark no agent believes the store: whoever removed it, a new sweep puts it back once all is there. */
  #watchMark(revision: number): void {
    this.#watch(COMPLETE_KEY, revision, (events) => {
      if (events.some((event) => event.type === 'delete' && event.key === COMPLETE_KEY))
        this.#fail(new MarkRemovedError('the mark was removed', { object: COMPLETE_KEY, retryable: true }));
    });
  }

  /** Resolves when nothing is dirty. Throws what made that impossible. */
  async #clean(): Promise<void> {
    while (this.#dirty.size > 0 || this.#flushing !== null) {
      this.#checkOpen();
      await this.#flush();
    }
    this.#checkOpen();
  }

  /** Starts writing what is dirty, unless that is under way. Never rejects: a failure ends the writer. */
  #flush(): Promise<void> {
    this.#flushing ??= this.#passes().finally(() => {
      this.#flushing = null;
      // Touched after the last pass had looked.
      if (this.#dirty.size > 0 && !this.#closed) void this.#flush();
    });
    return this.#flushing;
  }

  async #passes(): Promise<void> {
    try {
      // What comes in the same turn of the loop goes with it.
      await new Promise<void>((resolve) => setImmediate(resolve));
      while (this.#dirty.size > 0 && !this.#closed) await this.#flushAll();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(errorText(error)));
    }
  }

  /** One pass over what is dirty now. Kinds one after the other: what restricts is there before what it restricts. */
  async #flushAll(): Promise<void> {
    const operations = this.#operations([...this.#dirty]);
    this.#dirty.clear();
    for (const phase of phases(operations)) {
      const queue = batches(phase);
      const worker = async (): Promise<void> => {
        for (let batch = queue.shift(); batch !== undefined; batch = queue.shift()) await this.#write(batch);
      };
      const results = await Promise.allSettled(Array.from({ length: PARALLEL }, worker));
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    }
    this.#gone.clear();
  }

  #operations(keys: readonly string[]): readonly Operation[] {
    return keys.flatMap((key): readonly Operation[] => {
      const json = this.wanted.get(key);
      const held = this.#held.get(key);
      if (json === held?.json) return [];
      return json === undefined ? [{ type: 'delete', key }] : [{ type: 'put', key, value: json }];
    });
  }

  async #write(batch: readonly Operation[]): Promise<void> {
    const revision = await this.#transact(batch);
    for (const operation of batch) {
      const { key } = operation;
      const held = this.#held.get(key);
      this.handler.written(
        operation.type === 'delete' ? 'delete' : held === undefined ? 'add' : 'update',
        kindOf(key),
      );
      // Somebody's later change may have been told already.
      if (Math.max(held?.revision ?? 0, this.#gone.get(key) ?? 0) >= revision) continue;
      if (operation.type === 'delete') this.#held.delete(key);
      else this.#held.set(key, { json: operation.value, revision });
    }
  }

  async #transact(operations: readonly Operation[]): Promise<number> {
    if (this.#closed) throw new LeadershipLostError('writing has ended');
    const { ok, revision } = await this.store.transact([this.condition], operations);
    if (!ok) throw new LeadershipLostError('another ksr leads: what was to be written was not');
    return revision;
  }

  /** Our own changes come back here too: they are no news. */
  #follow(events: readonly StoreEvent[]): void {
    const strange: string[] = [];
    for (const event of events) {
      const key = event.type === 'put' ? event.entry.key : event.key;
      const revision = event.type === 'put' ? event.entry.revision : event.revision;
      const held = this.#held.get(key);
      if (held !== undefined && held.revision >= revision) continue;
      const wanted = this.wanted.get(key);
      if (event.type === 'delete') {
        this.#held.delete(key);
        if (this.#flushing !== null) this.#gone.set(key, revision);
      } else
        this.#held.set(key, { json: event.entry.value === wanted ? wanted : event.entry.value, revision });
      if ((event.type === 'put' ? event.entry.value : undefined) !== wanted) strange.push(key);
    }
    if (strange.length === 0) return;
    if (this.#held.size > 0) this.touch(strange);
    // Filled again from here, it would look complete while it is not: a sweep takes the mark away first.
    else
      this.#fail(
        new ObjectsRemovedError('all objects were removed', { object: OBJECTS_PREFIX, retryable: true }),
      );
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.#error = error;
    this.close();
    this.handler.failed(error);
  }
}

function kindOf(key: string): string {
  return key.slice(OBJECTS_PREFIX.length, key.indexOf('/', OBJECTS_PREFIX.length));
}

/** Groups that are written one after the other: kinds in their order, then what is removed the other way round. */
function phases(operations: readonly Operation[]): readonly (readonly Operation[])[] {
  const groups = new Map<number, Operation[]>();
  for (const operation of operations) {
    const order = orderOf(kindOf(operation.key));
    const at = operation.type === 'put' ? order : 1000 - order;
    const group = groups.get(at);
    if (group === undefined) groups.set(at, [operation]);
    else group.push(operation);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

function batches(operations: readonly Operation[]): Operation[][] {
  const out: Operation[][] = [];
  let batch: Operation[] = [];
  let characters = 0;
  for (const operation of operations) {
    const size = operation.key.length + (operation.type === 'put' ? operation.value.length : 0);
    if (batch.length > 0 && (batch.length === MAX_OPERATIONS || characters + size > BATCH_CHARACTERS)) {
      out.push(batch);
      batch = [];
      characters = 0;
    }
    batch.push(operation);
    characters += size;
  }
  if (batch.length > 0) out.push(batch);
  return out;
}
