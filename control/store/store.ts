/**
 * The key-value store all components share. One interface, several implementations (embedded, etcd), one behaviour suite.
 * Keys and values are text; revisions rise by one with every change of the store, as etcd's do.
 */
export interface Entry {
  readonly key: string;
  readonly value: string;
  /** Store revision of the latest change of this key. */
  readonly revision: number;
  /** Store revision at which this key was created. */
  readonly created: number;
}

export type StoreEvent =
  | { readonly type: 'put'; readonly entry: Entry }
  | { readonly type: 'delete'; readonly key: string; readonly revision: number };

/** `revision` 0 = the key must not exist. */
export interface Condition {
  readonly key: string;
  readonly revision: number;
}

export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: string; readonly lease?: LeaseId }
  | { readonly type: 'delete'; readonly key: string };

export type LeaseId = string;

/** The most operations, and the most conditions, in one transaction: etcd's own limit. Callers split longer lists of changes. */
export const MAX_OPERATIONS = 128;

export interface Snapshot {
  readonly entries: readonly Entry[];
  readonly revision: number;
}

export interface Watch {
  /** Stops it; no callback is called afterwards. */
  close(): void;
}

export interface WatchHandler {
  /** All events of one revision together; revisions arrive in order and without gaps. */
  events(events: readonly StoreEvent[], revision: number): void;
  /** The watch cannot continue without a gap (history compacted, store replaced): list again and start a new watch. */
  lost(reason: Error): void;
}

/** Which keys are meant: those that start with this, or with one of these. */
export type Prefixes = string | readonly string[];

/** Is this one of the keys that are meant? */
export function isUnder(key: string, prefixes: Prefixes): boolean {
  return typeof prefixes === 'string'
    ? key.startsWith(prefixes)
    : prefixes.some((prefix) => key.startsWith(prefix));
}

export interface Store {
  get(key: string): Promise<Entry | null>;
  /** All keys under these prefixes as they were at one revision, sorted by key. No prefix is the beginning of another. */
  list(prefixes: Prefixes): Promise<Snapshot>;
  /**
   * Applies all operations at once if every condition holds; otherwise none, and `ok` is false. At most MAX_OPERATIONS of
   * each.
   */
  transact(
    conditions: readonly Condition[],
    operations: readonly Operation[],
  ): Promise<{ readonly ok: boolean; readonly revision: number }>;
  put(key: string, value: string): Promise<number>;
  delete(key: string): Promise<boolean>;
  /**
   * Events after `fromRevision` (exclusive) of keys under these prefixes, in one order: who was told of a revision was told of all
   * before it. Two watches promise nothing of the kind to each other.
   */
  watch(prefixes: Prefixes, fromRevision: number, handler: WatchHandler): Watch;
  /** Keys put with a lease vanish `ttlSeconds` after the last keep-alive. The implementation keeps the lease alive until it is revoked. */
  lease(
    ttlSeconds: number,
  ): Promise<{ readonly id: LeaseId; revoke(): Promise<void>; readonly lost: Promise<void> }>;
  close(): Promise<void>;
}
