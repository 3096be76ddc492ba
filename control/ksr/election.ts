/**
 * One ksr writes: whoever made the leader key, which vanishes with its maker's lease. Each write carries the condition that the
 * key is still the one its writer made, so that a leader that was paused past its lease cannot write after the next one began.
 */
import type { Condition, Store, Watch } from '../store/store.js';

export const LEADER_KEY = '/pteropus/ksr/leader';

export interface Leadership {
  /** Holds as long as nobody else leads. */
  readonly condition: Condition;
  /** Resolves when the lease is lost. */
  readonly lost: Promise<void>;
  /** Gives it up, so that another one need not wait. */
  resign(): Promise<void>;
}

export interface Candidate {
  /** Who we are; no other candidate has the same. */
  readonly identity: string;
  readonly leaseSeconds: number;
}

/** Waits until we lead; null when `signal` aborted it. `leader` is told who leads meanwhile. Throws what the store throws. */
export async function campaign(
  store: Store,
  { identity, leaseSeconds }: Candidate,
  signal: AbortSignal,
  leader: (identity: string) => void,
): Promise<Leadership | null> {
  while (!signal.aborted) {
    const { entries, revision } = await store.list(LEADER_KEY);
    const [held] = entries;
    // What we held ourselves before we died is taken over at once; a twin of ours would lose it, and stop writing.
    if (held !== undefined && held.value !== identity) {
      leader(held.value);
      await untilFree(store, revision, signal);
      continue;
    }
    const lease = await store.lease(leaseSeconds);
    const put = { type: 'put', key: LEADER_KEY, value: identity, lease: lease.id } as const;
    const taken = await store
      .transact([{ key: LEADER_KEY, revision: held?.revision ?? 0 }], [put])
      .catch(async (error: unknown) => {
        // If it was done after all, it goes with its lease.
        await lease.revoke().catch(() => undefined);
        throw error;
      });
    if (taken.ok) {
      const condition = { key: LEADER_KEY, revision: taken.revision };
      return { condition, lost: lease.lost, resign: () => lease.revoke() };
    }
    await lease.revoke();
  }
  return null;
}

/** Resolves when the leader key is gone, the watch cannot tell, or `signal` aborts. */
function untilFree(store: Store, revision: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let watch: Watch | null = null;
    const done = (): void => {
      signal.removeEventListener('abort', done);
      watch?.close();
      resolve();
    };
    signal.addEventListener('abort', done);
    watch = store.watch(LEADER_KEY, revision, {
      events: (events) => {
        if (events.some(({ type }) => type === 'delete')) done();
      },
      lost: done,
    });
    if (signal.aborted) done();
  });
}
