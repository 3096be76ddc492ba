/** The one that runs the pipeline: this thread (inline, for the memory feed) or a worker thread (control/dataplane). */
import type { FeedCounters, Link } from './feed.js';
import { PipelineLoop } from './loop.js';
import type { MemoryPlan } from './memory.js';
import { MemoryFeed, type MemoryLinks } from './memory-feed.js';
import { isTrap, startPipeline } from './pipeline.js';
import type { Neighbor } from './routes.js';

export interface Runner {
  /** Rejects with PortError (or NativeError) when the link cannot be opened. */
  openPort(port: number, link: Link): Promise<void>;
  /** A link that is gone already is fine. */
  closePort(port: number): Promise<void>;
  /** The next hops to keep resolved from now on. */
  setNeighbors(neighbors: readonly Neighbor[]): void;
  /** Resolves when no batch uses another image than the one in force. */
  quiesce(): Promise<void>;
  /** What the feed lost before or after the pipeline, in the order of `ports`. */
  feedCounters(ports: readonly number[]): Promise<readonly FeedCounters[]>;
  /** Resolves with the reason when the pipeline cannot run any more. */
  readonly lost: Promise<Error>;
  /** How often the pipeline was started again after a trap or a stall. */
  readonly restarts: number;
  close(): Promise<void>;
}

/** Rounds in one turn of the event loop, so that a flood does not stop everything else. */
const ROUNDS_PER_TURN = 16;
const MAINTAIN_EVERY_MS = 100;

/** Runs the pipeline in this thread, a turn of the event loop at a time. */
export class InlineRunner implements Runner {
  readonly lost: Promise<Error> = new Promise(() => {});
  readonly #loop: PipelineLoop;
  readonly #feed: MemoryFeed;
  readonly #timer: NodeJS.Timeout;
  #scheduled = false;
  #closed = false;
  restarts = 0;

  /** @param now milliseconds of a monotonic clock */
  constructor(
    readonly module: WebAssembly.Module,
    readonly memory: WebAssembly.Memory,
    plan: MemoryPlan,
    links: MemoryLinks,
    readonly now: () => number,
  ) {
    this.#feed = new MemoryFeed(memory, plan, links, () => this.#schedule());
    this.#loop = new PipelineLoop(memory, plan, startPipeline(module, memory), this.#feed);
    this.#timer = setInterval(() => this.#turn(0), MAINTAIN_EVERY_MS).unref();
  }

  async openPort(port: number, link: Link): Promise<void> {
    this.#feed.openPort(port, link);
  }

  async closePort(port: number): Promise<void> {
    this.#feed.closePort(port);
  }

  setNeighbors(neighbors: readonly Neighbor[]): void {
    this.#loop.setNeighbors(neighbors);
    this.#schedule();
  }

  /** No batch is under way while this thread does something else. */
  async quiesce(): Promise<void> {}

  async feedCounters(ports: readonly number[]): Promise<readonly FeedCounters[]> {
    return ports.map((port) => this.#feed.counters(port));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#feed.close();
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn(ROUNDS_PER_TURN);
    });
  }

  #turn(rounds: number): void {
    if (this.#closed) return;
    try {
      this.#loop.maintain(this.now());
      for (let i = 0; i < rounds && (this.#loop.unsent || this.#feed.pending); i++) {
        this.#loop.round(this.now(), 0);
      }
    } catch (error) {
      if (!isTrap(error)) throw error;
      // A trap: the packets of this batch are lost, the pipeline starts anew over the same tables and sessions.
      this.restarts++;
      this.#loop.dropBatch();
      this.#loop.pipeline = startPipeline(this.module, this.memory);
    }
    if (this.#loop.unsent || this.#feed.pending) this.#schedule();
  }
}
