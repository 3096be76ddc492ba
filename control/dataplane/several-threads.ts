/** Several workers, each in a thread and over a memory of its own, as one runner. */
import { PortError } from '../backends/wasm/errors.js';
import type { FeedCounters, Link } from '../backends/wasm/feed.js';
import type { Neighbor } from '../backends/wasm/routes.js';
import type { Runner } from '../backends/wasm/runner.js';
import { errorText } from '../common/errors.js';
import { ThreadRunner, type ThreadSpec } from './thread-runner.js';

export class SeveralThreads implements Runner {
  readonly lost: Promise<Error>;

  private constructor(readonly threads: readonly ThreadRunner[]) {
    this.lost = Promise.race(threads.map(({ lost }) => lost));
  }

  /** Starts all; throws what keeps any of them from running, with none left behind. */
  static async start(specs: readonly ThreadSpec[]): Promise<SeveralThreads> {
    const started: ThreadRunner[] = [];
    try {
      for (const [i, spec] of specs.entries()) {
        const log = (line: string): void => spec.log(`worker ${i}: ${line}`);
        started.push(await ThreadRunner.start({ ...spec, log }));
      }
    } catch (error) {
      await Promise.all(started.map((thread) => thread.close()));
      throw error;
    }
    return new SeveralThreads(started);
  }

  get restarts(): number {
    return this.threads.reduce((sum, { restarts }) => sum + restarts, 0);
  }

  /** A port is open when all workers have it: each of them may have to send there. */
  async openPort(port: number, link: Link): Promise<void> {
    const ends = await Promise.allSettled(this.threads.map((thread) => thread.openPort(port, link)));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed === undefined) return;
    const opened = this.threads.filter((_, i) => ends[i]?.status === 'fulfilled');
    await Promise.all(opened.map((thread) => thread.closePort(port)));
    const { reason } = failed;
    throw reason instanceof Error ? reason : new PortError(errorText(reason), { object: link.name });
  }

  async closePort(port: number): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.closePort(port)));
  }

  /** One asks for them; whoever hears the answer tells the others. */
  setNeighbors(neighbors: readonly Neighbor[]): void {
    this.threads[0]?.setNeighbors(neighbors);
  }

  async quiesce(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.quiesce()));
  }

  async feedCounters(ports: readonly number[]): Promise<readonly FeedCounters[]> {
    const all = await Promise.all(this.threads.map((thread) => thread.feedCounters(ports)));
    return ports.map((_, i) => {
      const each = all.flatMap((counters) => counters[i] ?? []);
      // All receive in the same way; of sending, the slower way of any is told.
      const { mode, sends } = each.find((counters) => counters.sends === 'xdp') ?? each[0] ?? {};
      return {
        rxDropped: each.reduce((sum, { rxDropped }) => sum + rxDropped, 0),
        txDropped: each.reduce((sum, { txDropped }) => sum + txDropped, 0),
        ...(mode === undefined ? {} : { mode }),
        ...(sends === undefined ? {} : { sends }),
      };
    });
  }

  /** Ends worker `index`; another takes over with the same tables and sessions, while the others go on. */
  replaceWorker(reason: string, index = 0): void {
    this.threads[index]?.replaceWorker(reason);
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.close()));
  }
}
