/**
 * Several workers in this thread, for the memory feed: each frame goes to one of them, by a choice that can be repeated, and they take
 * turns. What several threads do to one another happens here in an order that is known.
 */
import type { FeedCounters, Link } from './feed.js';
import { PipelineLoop } from './loop.js';
import type { MemoryPlan } from './memory.js';
import { MemoryFeed, MemoryLinks } from './memory-feed.js';
import { isTrap, startPipeline } from './pipeline.js';
import type { Neighbor } from './routes.js';
import type { Runner } from './runner.js';

/** Rounds in one turn of the event loop, so that a flood does not stop everything else. */
const ROUNDS_PER_TURN = 16;
const MAINTAIN_EVERY_MS = 100;

interface InlineWorker {
  readonly memory: WebAssembly.Memory;
  readonly feed: MemoryFeed;
  readonly links: MemoryLinks;
  readonly loop: PipelineLoop;
}

export class InlineWorkers implements Runner {
  readonly lost: Promise<Error> = new Promise(() => {});
  readonly #workers: readonly InlineWorker[];
  readonly #timer: NodeJS.Timeout;
  #scheduled = false;
  #closed = false;
  restarts = 0;

  /**
   * @param now milliseconds of a monotonic clock
   * @param choose which of `n` workers gets the next frame, or the next turn
   */
  constructor(
    readonly module: WebAssembly.Module,
    memories: readonly WebAssembly.Memory[],
    plan: MemoryPlan,
    readonly links: MemoryLinks,
    readonly now: () => number,
    readonly choose: (n: number) => number,
  ) {
    this.#workers = memories.map((memory) => {
      const own = new MemoryLinks(links.stations);
      const feed = new MemoryFeed(memory, plan, own, () => this.#schedule());
      return {
        memory,
        feed,
        links: own,
        loop: new PipelineLoop(memory, plan, startPipeline(module, memory), feed),
      };
    });
    links.sink = (link, frame) => this.#anyOf().links.sink?.(link, frame) ?? false;
    this.#timer = setInterval(() => this.#turn(0), MAINTAIN_EVERY_MS).unref();
  }

  async openPort(port: number, link: Link): Promise<void> {
    for (const { feed } of this.#workers) feed.openPort(port, link);
  }

  async closePort(port: number): Promise<void> {
    for (const { feed } of this.#workers) feed.closePort(port);
  }

  /** One worker asks; all learn. */
  setNeighbors(neighbors: readonly Neighbor[]): void {
    this.#workers[0]?.loop.setNeighbors(neighbors);
    this.#schedule();
  }

  /** No batch is under way while this thread does something else. */
  async quiesce(): Promise<void> {}

  async feedCounters(ports: readonly number[]): Promise<readonly FeedCounters[]> {
    return ports.map((port) => {
      const all = this.#workers.map(({ feed }) => feed.counters(port));
      const sum = (field: 'rxDropped' | 'txDropped'): number =>
        all.reduce((total, one) => total + one[field], 0);
      return { rxDropped: sum('rxDropped'), txDropped: sum('txDropped') };
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.links.sink = null;
    for (const { feed } of this.#workers) feed.close();
  }

  #anyOf(): InlineWorker {
    return this.#workers[this.choose(this.#workers.length)] as InlineWorker;
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn(ROUNDS_PER_TURN * this.#workers.length);
    });
  }

  #turn(rounds: number): void {
    if (this.#closed) return;
    for (const worker of this.#workers) this.#guarded(worker, () => worker.loop.maintain(this.now()));
    for (let i = 0; i < rounds && this.#busy(); i++) {
      const worker = this.#anyOf();
      if (isBusy(worker)) this.#guarded(worker, () => worker.loop.round(this.now(), 0));
    }
    if (this.#busy()) this.#schedule();
  }

  #busy(): boolean {
    return this.#workers.some(isBusy);
  }

  #guarded({ loop, memory }: InlineWorker, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!isTrap(error)) throw error;
      // A trap: the packets of this batch are lost, the pipeline starts anew over the same tables and sessions.
      this.restarts++;
      loop.dropBatch();
      loop.pipeline = startPipeline(this.module, memory);
    }
  }
}

function isBusy({ loop, feed }: InlineWorker): boolean {
  return loop.unsent || feed.pending;
}
