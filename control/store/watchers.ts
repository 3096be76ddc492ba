/** Watches of one store: recent history for those who come later, and delivery in order, never inside the caller's stack. */

import { WatchLostError } from './errors.js';
import type { Commit } from './keyspace.js';
import { isUnder, type Prefixes, type StoreEvent, type Watch, type WatchHandler } from './store.js';

interface Watcher {
  readonly prefixes: Prefixes;
  readonly handler: WatchHandler;
  queue: (readonly [readonly StoreEvent[], number])[];
  lost: Error | null;
  scheduled: boolean;
  closed: boolean;
}

/** Events kept for watches that start in the past. */
const HISTORY_EVENTS = 100_000;

export class Watchers {
  readonly #watchers = new Set<Watcher>();
  #history: Commit[] = [];
  #events = 0;
  /** Every commit after this revision is in the history. */
  #since: number;

  constructor(revision: number) {
    this.#since = revision;
  }

  publish(commit: Commit): void {
    this.#history.push(commit);
    this.#events += commit.events.length;
    if (this.#events > HISTORY_EVENTS) this.#forget();
    for (const watcher of this.#watchers) enqueue(watcher, commit);
  }

  watch(prefixes: Prefixes, fromRevision: number, current: number, handler: WatchHandler): Watch {
    const object = String(prefixes);
    const watcher: Watcher = { prefixes, handler, queue: [], lost: null, scheduled: false, closed: false };
    if (fromRevision < this.#since) {
      lose(watcher, new WatchLostError('events are kept no longer', { object, value: fromRevision }));
    } else if (fromRevision > current) {
      const text = `the store is at revision ${current} only: it is another store`;
      lose(watcher, new WatchLostError(text, { object, value: fromRevision }));
    } else {
      for (const commit of this.#history) if (commit.revision > fromRevision) enqueue(watcher, commit);
      this.#watchers.add(watcher);
    }
    return {
      close: () => {
        watcher.closed = true;
        this.#watchers.delete(watcher);
      },
    };
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.closed = true;
    this.#watchers.clear();
  }

  /** Drops the older half, so that the cost is spread over many commits. */
  #forget(): void {
    const kept = this.#history.slice(this.#history.length >> 1);
    const oldest = this.#history[(this.#history.length >> 1) - 1];
    if (oldest === undefined) return;
    this.#since = oldest.revision;
    this.#history = kept;
    this.#events = kept.reduce((sum, commit) => sum + commit.events.length, 0);
  }
}

function enqueue(watcher: Watcher, { events, revision }: Commit): void {
  const mine = events.filter((event) =>
    isUnder(event.type === 'put' ? event.entry.key : event.key, watcher.prefixes),
  );
  if (mine.length === 0) return;
  watcher.queue.push([mine, revision]);
  schedule(watcher);
}

function lose(watcher: Watcher, reason: Error): void {
  watcher.lost = reason;
  schedule(watcher);
}

function schedule(watcher: Watcher): void {
  if (watcher.scheduled) return;
  watcher.scheduled = true;
  queueMicrotask(() => {
    watcher.scheduled = false;
    const batch = watcher.queue;
    watcher.queue = [];
    for (const [events, revision] of batch) if (!watcher.closed) watcher.handler.events(events, revision);
    if (watcher.lost !== null && !watcher.closed) {
      watcher.closed = true;
      watcher.handler.lost(watcher.lost);
    }
  });
}
