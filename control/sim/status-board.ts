/** What the agents report through the store: how far each has applied it. */
import { PteropusError } from '../common/errors.js';
import type { Entry, Store } from '../store/store.js';
import { type Followed, followPrefix } from './follow-store.js';

export const STATUS_PREFIX = '/pteropus/status/';

/** Some agent did not get there in time. */
export class NotSettledError extends PteropusError {}

interface Waiter {
  readonly revision: number;
  readonly done: () => void;
}

export class StatusBoard {
  private readonly applied = new Map<string, number>();
  private readonly waiters = new Set<Waiter>();
  private readonly watch: Followed;

  constructor(
    store: Store,
    private readonly nodes: readonly string[],
    private readonly timeoutMs = 30_000,
  ) {
    this.watch = followPrefix(store, STATUS_PREFIX, {
      put: (entry) => this.take(entry),
      // What an agent had applied it still has, whatever becomes of its report.
      deleted: () => undefined,
    });
  }

  /** Resolves when every node has applied the store up to `revision`. Throws NotSettledError after the timeout. */
  settled(revision: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiters.delete(waiter);
        const late = this.late(revision).map(
          (node) => `${node} is at ${this.applied.get(node) ?? 'nothing'}`,
        );
        reject(
          new NotSettledError(`not applied after ${this.timeoutMs} ms: ${late.join(', ')}`, {
            value: revision,
          }),
        );
      }, this.timeoutMs);
      const waiter: Waiter = {
        revision,
        done: () => {
          clearTimeout(timer);
          this.waiters.delete(waiter);
          resolve();
        },
      };
      this.waiters.add(waiter);
      this.wake();
    });
  }

  close(): void {
    this.watch.close();
    for (const waiter of [...this.waiters]) waiter.done();
  }

  private take({ key, value }: Entry): void {
    const { revision } = JSON.parse(value) as { revision?: unknown };
    if (typeof revision !== 'number') return;
    this.applied.set(key.slice(STATUS_PREFIX.length), revision);
    this.wake();
  }

  private late(revision: number): readonly string[] {
    return this.nodes.filter((node) => (this.applied.get(node) ?? -1) < revision);
  }

  private wake(): void {
    for (const waiter of [...this.waiters]) if (this.late(waiter.revision).length === 0) waiter.done();
  }
}
