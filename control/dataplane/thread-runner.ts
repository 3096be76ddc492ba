/**
 * Runs the pipeline in a worker thread and watches over it: a worker that died or stands still is replaced over the same
 * memory, so connections survive, and its ports are opened again.
 */
import { Worker } from 'node:worker_threads';
import * as L from '../../dataplane-as/layout/index.js';
import { loadNative } from '../../native/index.js';
import { DataPlaneLostError, PortError } from '../backends/wasm/errors.js';
import type { FeedCounters, Link } from '../backends/wasm/feed.js';
import type { MemoryPlan } from '../backends/wasm/memory.js';
import { activeImageAt, wordsOf } from '../backends/wasm/memory.js';
import type { Neighbor } from '../backends/wasm/routes.js';
import type { Runner } from '../backends/wasm/runner.js';
import { errorText } from '../common/errors.js';
import {
  type Answer,
  HEARTBEAT,
  POSTED,
  type Request,
  SHARED_WORDS,
  TRAPS,
  type WorkerStart,
} from './messages.js';

/** Longer than an answer takes on a node, shorter than what a pod would miss of its core. */
const SPIN_MICROS = 300;
const WATCH_EVERY_MS = 500;
const STUCK_AFTER_MS = 2000;
/** So many workers in a row that could not even start, and the data plane gives up. */
const MAX_FAILURES = 5;
/** A socket of the worker before may hold its queue for a moment. */
const OPEN_TRIES = 20;
const OPEN_RETRY_MS = 100;

export interface ThreadSpec {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly netns: string | null;
  /** Microseconds without packets before the worker sleeps (default 300). */
  readonly spinMicros?: number;
  readonly log: (line: string) => void;
}

type Unnumbered = Request extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never;

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

export class ThreadRunner implements Runner {
  readonly lost: Promise<Error>;
  readonly #spec: ThreadSpec;
  readonly #words: Uint32Array;
  readonly #shared = new SharedArrayBuffer(SHARED_WORDS * 4);
  readonly #sharedWords = new Int32Array(this.#shared);
  readonly #ports = new Map<number, Link>();
  readonly #waiting = new Map<number, Waiting>();
  readonly #watch: NodeJS.Timeout;
  #neighbors: readonly Neighbor[] = [];
  #worker: Worker | null = null;
  #ready: Promise<void> = Promise.resolve();
  #wakeFd = -1;
  #nextId = 1;
  #closing = false;
  #failures = 0;
  #replaced = 0;
  #trapsSeen = 0;
  #beat = { count: 0, at: 0 };
  #lose: (error: Error) => void = () => {};

  private constructor(spec: ThreadSpec) {
    this.#spec = spec;
    this.#words = wordsOf(spec.memory);
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    this.#watch = setInterval(() => this.#look(), WATCH_EVERY_MS).unref();
  }

  /** Starts the first worker; throws what keeps it from running (no addon, no privileges, no memory). */
  static async start(spec: ThreadSpec): Promise<ThreadRunner> {
    const runner = new ThreadRunner(spec);
    try {
      await runner.#spawn();
    } catch (error) {
      runner.#closing = true;
      clearInterval(runner.#watch);
      throw error;
    }
    return runner;
  }

  /** Workers replaced, and traps that a worker got over by itself. */
  get restarts(): number {
    return this.#replaced + Atomics.load(this.#sharedWords, TRAPS);
  }

  async openPort(port: number, link: Link): Promise<void> {
    await this.#ready;
    await this.#openWithRetry(port, link);
    this.#ports.set(port, link);
  }

  async closePort(port: number): Promise<void> {
    this.#ports.delete(port);
    await this.#ready;
    await this.#ask({ type: 'close', port }).catch((error: unknown) => {
      this.#spec.log(`closing port ${port}: ${errorText(error)}`);
    });
  }

  setNeighbors(neighbors: readonly Neighbor[]): void {
    this.#neighbors = neighbors;
    // If the worker goes before it answers, the next one is told when it starts.
    this.#ask({ type: 'neighbors', neighbors }).catch(() => undefined);
  }

  async quiesce(): Promise<void> {
    const control = L.CONTROL_BASE >>> 2;
    const active = Atomics.load(this.#words, activeImageAt(this.#spec.plan) >>> 2);
    this.#wake();
    for (let tries = 0; ; tries++) {
      // Without a worker nobody reads any image.
      if (this.#worker === null) return;
      if (Atomics.load(this.#words, control + L.CTL_ACK_IMAGE / 4) === active) return;
      await new Promise((resolve) => (tries < 200 ? setImmediate(resolve) : setTimeout(resolve, 1)));
      if (tries % 64 === 63) this.#wake();
    }
  }

  async feedCounters(ports: readonly number[]): Promise<readonly FeedCounters[]> {
    const answer = await this.#ask({ type: 'counters', ports });
    return answer.type === 'counters' ? answer.counters : [];
  }

  /** Ends the worker; another takes over with the same tables and sessions. */
  replaceWorker(reason: string): void {
    this.#spec.log(`replacing the worker: ${reason}`);
    void this.#worker?.terminate();
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#watch);
    const worker = this.#worker;
    if (worker === null) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    this.#ask({ type: 'stop' }).catch(() => undefined);
    const timer = setTimeout(() => void worker.terminate(), STUCK_AFTER_MS);
    await ended;
    clearTimeout(timer);
  }

  async #spawn(): Promise<void> {
    const { module, memory, plan, netns } = this.#spec;
    const spinMicros = this.#spec.spinMicros ?? SPIN_MICROS;
    const start: WorkerStart = { module, memory, plan, netns, spinMicros, shared: this.#shared };
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: start,
      name: 'pipeline',
    });
    this.#worker = worker;
    this.#beat = { count: Atomics.load(this.#sharedWords, HEARTBEAT), at: performance.now() };
    let reason = 'it ended';
    worker.on('error', (error) => {
      reason = errorText(error);
    });
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (answer: Answer) => {
        if (answer.type === 'ready') {
          this.#wakeFd = answer.wakeFd;
          resolve();
        } else this.#answered(answer);
      });
      worker.once('exit', () => {
        reject(new DataPlaneLostError(`the worker cannot run: ${reason}`, { object: 'worker' }));
        this.#ended(worker, reason);
      });
    });
  }

  /** A worker ended: what waits for it fails, and unless it was meant to, another takes over. */
  #ended(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    const running = this.#wakeFd >= 0;
    this.#worker = null;
    this.#wakeFd = -1;
    for (const { reject } of this.#waiting.values()) {
      reject(new PortError('the worker ended', { retryable: true, cause: reason }));
    }
    this.#waiting.clear();
    // A first worker that never ran is `start`'s to report.
    if (this.#closing || (!running && this.#replaced === 0)) return;
    this.#replaced++;
    this.#failures = running ? 0 : this.#failures + 1;
    this.#spec.log(`worker ended (${reason}); restart ${this.#replaced}`);
    if (this.#failures > MAX_FAILURES) {
      this.#lose(
        new DataPlaneLostError(`the worker cannot be kept running: ${reason}`, { object: 'worker' }),
      );
      return;
    }
    this.#ready = this.#refill();
  }

  /** Starts a worker anew and opens all ports again; links that are gone are logged and left. */
  async #refill(): Promise<void> {
    try {
      await this.#spawn();
    } catch {
      return; // `#ended` has seen it and tries again or gives up
    }
    for (const [port, link] of [...this.#ports]) {
      await this.#openWithRetry(port, link).catch((error: unknown) => {
        this.#spec.log(`port ${port} (${link.name}) cannot be opened again: ${errorText(error)}`);
      });
    }
    this.setNeighbors(this.#neighbors);
  }

  async #openWithRetry(port: number, link: Link): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#ask({ type: 'open', port, link });
        return;
      } catch (error) {
        const again = error instanceof PortError && error.retryable && tries < OPEN_TRIES;
        if (!again || this.#closing) throw error;
        await new Promise((resolve) => setTimeout(resolve, OPEN_RETRY_MS));
      }
    }
  }

  #ask(request: Unnumbered): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const worker = this.#worker;
      if (worker === null) {
        reject(new PortError('the worker is not running', { retryable: true }));
        return;
      }
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ ...request, id });
      Atomics.add(this.#sharedWords, POSTED, 1);
      this.#wake();
    });
  }

  #answered(answer: Exclude<Answer, { type: 'ready' }>): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    const error = answer.type === 'done' ? answer.error : null;
    if (error === null) waiting?.resolve(answer);
    else waiting?.reject(new PortError(error.message, { retryable: error.retryable }));
  }

  #wake(): void {
    if (this.#wakeFd >= 0) loadNative().wake(this.#wakeFd);
  }

  #look(): void {
    const traps = Atomics.load(this.#sharedWords, TRAPS);
    if (traps !== this.#trapsSeen)
      this.#spec.log(`the pipeline trapped and was started anew (${traps} times so far)`);
    this.#trapsSeen = traps;
    const now = performance.now();
    const count = Atomics.load(this.#sharedWords, HEARTBEAT);
    if (this.#worker === null || this.#wakeFd < 0 || count !== this.#beat.count) {
      this.#beat = { count, at: now };
      return;
    }
    if (now - this.#beat.at < STUCK_AFTER_MS) return;
    this.replaceWorker(`it stands still for ${Math.round(now - this.#beat.at)} ms`);
    this.#beat = { count, at: now };
  }
}
