/** The store's contents as pure data: what a transaction would do, and doing it. No I/O, no clock. */
import { InvalidInputError } from '../common/errors.js';
import {
  type Condition,
  type Entry,
  isUnder,
  type LeaseId,
  type Operation,
  type Prefixes,
  type Snapshot,
  type StoreEvent,
} from './store.js';

/** A transaction that passed its conditions: what goes to the log, then to the watchers. */
export interface Commit {
  readonly revision: number;
  readonly events: readonly StoreEvent[];
  /** Keys put with a lease; all other keys put are without one from here on. */
  readonly leases: Readonly<Record<string, LeaseId>>;
}

/** Commits decided but not yet in the keyspace (they wait for the disk); later transactions must see them. */
export class Staged {
  readonly #entries = new Map<string, Entry | null>();
  revision: number;

  constructor(private readonly base: Keyspace) {
    this.revision = base.revision;
  }

  get(key: string): Entry | null {
    const staged = this.#entries.get(key);
    return staged === undefined ? this.base.get(key) : staged;
  }

  add(commit: Commit): void {
    this.revision = commit.revision;
    for (const event of commit.events) {
      if (event.type === 'put') this.#entries.set(event.entry.key, event.entry);
      else this.#entries.set(event.key, null);
    }
  }
}

/** What the operations come to on this state; null if a condition fails. No operation has an effect: no events. */
export function decide(
  state: Pick<Staged, 'get' | 'revision'>,
  conditions: readonly Condition[],
  operations: readonly Operation[],
): Commit | null {
  for (const { key, revision } of conditions) {
    if ((state.get(key)?.revision ?? 0) !== revision) return null;
  }
  const revision = state.revision + 1;
  const events: StoreEvent[] = [];
  const leases: Record<string, LeaseId> = {};
  const seen = new Set<string>();
  for (const operation of operations) {
    const { key } = operation;
    if (seen.has(key)) throw new InvalidInputError('a transaction changes a key once', { object: key });
    seen.add(key);
    const old = state.get(key);
    if (operation.type === 'put') {
      const created = old === null ? revision : old.created;
      events.push({ type: 'put', entry: { key, value: operation.value, revision, created } });
      if (operation.lease !== undefined) leases[key] = operation.lease;
    } else if (old !== null) {
      events.push({ type: 'delete', key, revision });
    }
  }
  return { revision: events.length === 0 ? state.revision : revision, events, leases };
}

export class Keyspace {
  readonly #entries = new Map<string, Entry>();
  readonly #leases = new Map<string, LeaseId>();
  revision = 0;

  get(key: string): Entry | null {
    return this.#entries.get(key) ?? null;
  }

  get size(): number {
    return this.#entries.size;
  }

  list(prefixes: Prefixes): Snapshot {
    const entries = [...this.#entries.values()].filter(({ key }) => isUnder(key, prefixes));
    entries.sort((a, b) => (a.key < b.key ? -1 : 1));
    return { entries, revision: this.revision };
  }

  keysOfLease(lease: LeaseId): readonly string[] {
    return [...this.#leases].filter(([, id]) => id === lease).map(([key]) => key);
  }

  leases(): Readonly<Record<string, LeaseId>> {
    return Object.fromEntries(this.#leases);
  }

  commit({ revision, events, leases }: Commit): void {
    this.revision = revision;
    for (const event of events) {
      const key = event.type === 'put' ? event.entry.key : event.key;
      const lease = Object.hasOwn(leases, key) ? leases[key] : undefined;
      if (event.type === 'put') this.#entries.set(key, event.entry);
      else this.#entries.delete(key);
      if (lease === undefined) this.#leases.delete(key);
      else this.#leases.set(key, lease);
    }
  }

  /** Replaces everything (a snapshot record of the log). */
  reset(snapshot: Snapshot, leases: Readonly<Record<string, LeaseId>>): void {
    this.#entries.clear();
    this.#leases.clear();
    for (const entry of snapshot.entries) this.#entries.set(entry.key, entry);
    for (const [key, lease] of Object.entries(leases)) this.#leases.set(key, lease);
    this.revision = snapshot.revision;
  }
}
