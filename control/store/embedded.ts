/**
 * The store inside one process: in memory, and with a file also lasting. What simulations and single-machine clusters use;
 * other processes reach it through server.ts.
 */
import { randomUUID } from 'node:crypto';
import { LeaseNotFoundError, StoreClosedError } from './errors.js';
import { type Commit, decide, Keyspace, Staged } from './keyspace.js';
import { StoreLog } from './log.js';
import type {
  Condition,
  Entry,
  LeaseId,
  Operation,
  Prefixes,
  Snapshot,
  Store,
  Watch,
  WatchHandler,
} from './store.js';
import { Watchers } from './watchers.js';

export type TransactResult = { readonly ok: boolean; readonly revision: number };

interface Pending {
  readonly conditions: readonly Condition[];
  readonly operations: readonly Operation[];
  readonly resolve: (result: TransactResult) => void;
  readonly reject: (error: unknown) => void;
}

export class EmbeddedStore implements Store {
  /** Names this store's history: a client that meets another identity must list anew. */
  readonly identity: string;
  readonly #keyspace: Keyspace;
  readonly #watchers: Watchers;
  #log: StoreLog | null;
  readonly #leases = new Map<LeaseId, () => void>();
  #pending: Pending[] = [];
  #writing: Promise<void> | null = null;
  #closed = false;

  /** An empty store in memory; `EmbeddedStore.open` for one that lasts. */
  constructor(parts?: { readonly keyspace: Keyspace; readonly log: StoreLog; readonly identity: string }) {
    this.#keyspace = parts?.keyspace ?? new Keyspace();
    this.#log = parts?.log ?? null;
    this.identity = parts?.identity ?? randomUUID();
    this.#watchers = new Watchers(this.#keyspace.revision);
  }

  /**
   * Opens the store kept in `path` (made if absent); one process at a time. A write torn by a crash is cut off and told to
   * `warn`; keys of leases end with the process that held them. Throws StoreDamagedError.
   */
  static async open(path: string, warn: (text: string) => void = () => undefined): Promise<EmbeddedStore> {
    const keyspace = new Keyspace();
    const { log, identity, torn } = await StoreLog.open(path, keyspace, randomUUID());
    if (torn > 0) warn(`${path}: cut off ${torn} bytes of an unfinished write`);
    const store = new EmbeddedStore({ keyspace, log, identity });
    const orphans = Object.keys(keyspace.leases());
    if (orphans.length > 0) {
      await store.transact(
        [],
        orphans.map((key) => ({ type: 'delete', key })),
      );
    }
    return store;
  }

  get(key: string): Promise<Entry | null> {
    return this.#read(() => this.#keyspace.get(key));
  }

  list(prefixes: Prefixes): Promise<Snapshot> {
    return this.#read(() => this.#keyspace.list(prefixes));
  }

  async put(key: string, value: string): Promise<number> {
    return (await this.transact([], [{ type: 'put', key, value }])).revision;
  }

  async delete(key: string): Promise<boolean> {
    for (;;) {
      const entry = await this.get(key);
      if (entry === null) return false;
      const { ok } = await this.transact([{ key, revision: entry.revision }], [{ type: 'delete', key }]);
      if (ok) return true;
    }
  }

  transact(conditions: readonly Condition[], operations: readonly Operation[]): Promise<TransactResult> {
    if (this.#closed) return Promise.reject(new StoreClosedError('the store is closed'));
    return new Promise((resolve, reject) => {
      this.#pending.push({ conditions, operations, resolve, reject });
      if (this.#log === null) this.#commitInMemory();
      else this.#writing ??= this.#commitToDisk(this.#log);
    });
  }

  watch(prefixes: Prefixes, fromRevision: number, handler: WatchHandler): Watch {
    if (this.#closed) throw new StoreClosedError('the store is closed');
    return this.#watchers.watch(prefixes, fromRevision, this.#keyspace.revision, handler);
  }

  /** In one process a lease lives until it is revoked or the store closes; `ttlSeconds` matters to clients only. */
  async lease(_ttlSeconds: number): ReturnType<Store['lease']> {
    const id = await this.#read(() => randomUUID());
    const lost = new Promise<void>((resolve) => this.#leases.set(id, resolve));
    const revoke = async (): Promise<void> => {
      const end = this.#leases.get(id);
      if (end === undefined) return;
      this.#leases.delete(id);
      // Puts under this lease that are on their way to the disk must be seen below.
      await this.#writing;
      const keys = this.#keyspace.keysOfLease(id);
      await this.transact(
        [],
        keys.map((key) => ({ type: 'delete', key })),
      );
      end();
    };
    return { id, revoke, lost };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    this.#watchers.close();
    for (const end of this.#leases.values()) end();
    await this.#log?.close();
  }

  async #read<T>(read: () => T): Promise<T> {
    if (this.#closed) throw new StoreClosedError('the store is closed');
    return read();
  }

  #commitInMemory(): void {
    for (const { pending, commit } of this.#decideAll()) {
      if (commit !== null && commit.events.length > 0) this.#publish(commit);
      pending.resolve({ ok: commit !== null, revision: this.#keyspace.revision });
    }
  }

  /** All that waits goes to the disk with one sync; what comes meanwhile waits for the next. */
  async #commitToDisk(log: StoreLog): Promise<void> {
    // One turn later, so that transactions started together share the sync.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const decided = this.#decideAll();
      const commits = decided.flatMap(({ commit }) =>
        commit !== null && commit.events.length > 0 ? [commit] : [],
      );
      try {
        if (commits.length > 0) await log.append(commits);
      } catch (error) {
        for (const { pending } of decided) pending.reject(error);
        continue;
      }
      for (const { pending, commit } of decided) {
        if (commit !== null && commit.events.length > 0) this.#publish(commit);
        pending.resolve({ ok: commit !== null, revision: this.#keyspace.revision });
      }
      // A failed compaction leaves the old file, which is whole; the next round tries again.
      log = await log.compact(this.#keyspace).catch(() => log);
      this.#log = log;
    }
    this.#writing = null;
  }

  #decideAll(): { readonly pending: Pending; readonly commit: Commit | null }[] {
    const batch = this.#pending;
    this.#pending = [];
    const staged = new Staged(this.#keyspace);
    const decided: { pending: Pending; commit: Commit | null }[] = [];
    for (const pending of batch) {
      try {
        this.#checkLeases(pending.operations);
        const commit = decide(staged, pending.conditions, pending.operations);
        if (commit !== null) staged.add(commit);
        decided.push({ pending, commit });
      } catch (error) {
        pending.reject(error);
      }
    }
    return decided;
  }

  #checkLeases(operations: readonly Operation[]): void {
    for (const operation of operations) {
      if (operation.type === 'put' && operation.lease !== undefined && !this.#leases.has(operation.lease)) {
        throw new LeaseNotFoundError('no such lease', { object: operation.key, value: operation.lease });
      }
    }
  }

  #publish(commit: Commit): void {
    this.#keyspace.commit(commit);
    this.#watchers.publish(commit);
  }
}
