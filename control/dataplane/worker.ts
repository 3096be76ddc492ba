/**
 * The data plane's worker thread: nothing but the packet loop. It never returns to its event loop; requests are looked for
 * between batches, and no batch allocates anything.
 */
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { loadNative } from '../../native/index.js';
import { PipelineLoop } from '../backends/wasm/loop.js';
import { isTrap, startPipeline } from '../backends/wasm/pipeline.js';
import { NO_TAP, XdpFeed } from '../backends/wasm/xdp-feed.js';
import { errorText, PteropusError } from '../common/errors.js';
import { Bursts } from './bursts.js';
import { Lookout } from './lookout.js';
import {
  type Answer,
  HEARTBEAT,
  type PlainError,
  POSTED,
  type Request,
  TRAPS,
  type WorkerStart,
} from './messages.js';
import { Urgency } from './urgency.js';

/** How long the thread sleeps at most. */
const SLEEP_MICROS = 50_000;
/** The shortest that the scheduler gives: on a core that pods keep busy, packets waited for milliseconds without. */
const SLICE_MICROS = 100;
/** While packets keep it busy; as the kernel's own threads for urgent work. */
const URGENT_NICE = -20;
/** Who was let run for longer than an answer takes needs the core for itself: for some time the thread sleeps instead of looking, unless
 * it is urgent: then it looks for less time than it works. */
const LONG_TURN_MS = 0.5;
const SHARE_MS = 50;

class PacketWorker {
  readonly #shared: Int32Array;
  readonly #feed: XdpFeed;
  readonly #loop: PipelineLoop;
  /** The same clock in every worker, so that sessions live on when one takes over from another. */
  readonly #origin = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  /** Ports being opened -> the request to be answered. */
  readonly #opening = new Map<number, number>();
  readonly #urgency: Urgency;
  readonly #nice: number;
  /** Posts seen so far. */
  #served = -1;

  constructor(
    readonly port: MessagePort,
    readonly start: WorkerStart,
  ) {
    const { memory, plan, netns, module, shared } = start;
    this.#shared = new Int32Array(shared);
    const native = loadNative();
    native.shortSlice(SLICE_MICROS);
    this.#nice = native.niceness();
    this.#urgency = new Urgency(availableParallelism() > plan.workers);
    this.#feed = new XdpFeed(memory, plan, netns);
    this.#loop = new PipelineLoop(memory, plan, startPipeline(module, memory), this.#feed);
    this.#answer({ type: 'ready', wakeFd: this.#feed.wakeFd });
  }

  /** Runs until it is told to stop. */
  run(): void {
    for (let running = true; running; ) {
      try {
        running = this.#rounds();
      } catch (error) {
        if (!isTrap(error)) throw error;
        // A trap: the packets of this batch are lost, the pipeline starts anew over the same tables and sessions.
        Atomics.add(this.#shared, TRAPS, 1);
        this.#loop.dropBatch();
        this.#loop.pipeline = startPipeline(this.start.module, this.start.memory);
      }
    }
    this.#feed.close();
    this.port.close();
  }

  /** Rounds without end; returns false when told to stop. */
  #rounds(): boolean {
    const native = loadNative();
    const spin = this.start.spinMicros / 1000;
    // Several workers share what pods send: none of them sleeps on a core of its choice.
    const single = this.start.plan.workers === 1;
    const bursts = new Bursts();
    const lookout = new Lookout();
    let received = false;
    let awakeUntil = 0;
    let sharedUntil = 0;
    for (;;) {
      const time = performance.now();
      const now = Math.floor(this.#origin + time);
      this.#loop.maintain(now);
      // After many packets more are looked for without sleeping: most answers come sooner than a thread wakes up.
      if (received) awakeUntil = time + spin;
      const few = single && bursts.few;
      const stays = single && lookout.lone && time >= sharedUntil;
      this.#feed.bound = few || stays;
      const looking = !few && time < awakeUntil && time >= sharedUntil && !(stays && lookout.asks);
      const sent = this.#loop.unsent;
      const count = this.#loop.round(now, looking ? 0 : SLEEP_MICROS);
      received = count !== 0;
      // What the thread was woken for goes out before anything else.
      if (received && !looking) this.#loop.send();
      lookout.note(count, count > 0 && this.#feed.smallFromLink, !looking);
      bursts.note(
        count,
        looking ? 0 : performance.now() - time,
        count === 1 ? this.#feed.smallFromTap : NO_TAP,
      );
      if (few && this.#urgency.end()) this.#comeFirst(false);
      if (looking) {
        const before = performance.now();
        if (this.#urgency.note(before - time, sent || received)) this.#comeFirst(this.#urgency.urgent);
        if (!received) {
          // Whoever answers may have been woken on this very core.
          native.yieldThread();
          const after = performance.now();
          if (after - before > LONG_TURN_MS && !this.#urgency.urgent) sharedUntil = after + SHARE_MS;
        }
      }
      Atomics.add(this.#shared, HEARTBEAT, 1);
      if (this.#opening.size > 0) this.#answerOpened();
      const posted = Atomics.load(this.#shared, POSTED);
      if (posted === this.#served) continue;
      this.#served = posted;
      if (!this.#serveAll()) return false;
    }
  }

  /** Not everyone may; then the thread stays what it is. */
  #comeFirst(urgent: boolean): void {
    loadNative().setNice(urgent ? URGENT_NICE : this.#nice);
  }

  /** Takes all waiting requests; false when one of them was `stop`. */
  #serveAll(): boolean {
    for (;;) {
      const next = receiveMessageOnPort(this.port);
      if (next === undefined) return true;
      const request = next.message as Request;
      try {
        this.#serve(request);
      } catch (error) {
        this.#opening.delete('port' in request ? request.port : -1);
        this.#answer({ type: 'done', id: request.id, error: plain(error) });
      }
      if (request.type === 'stop') return false;
    }
  }

  #serve(request: Request): void {
    const { id } = request;
    if (request.type === 'open') {
      this.#opening.set(request.port, id);
      this.#feed.startOpening(request.port, request.link);
      return;
    }
    if (request.type === 'counters') {
      const counters = request.ports.map((port) => this.#feed.counters(port));
      this.#answer({ type: 'counters', id, counters });
      return;
    }
    if (request.type === 'close') this.#feed.closePort(request.port);
    else if (request.type === 'neighbors') this.#loop.setNeighbors(request.neighbors);
    this.#answer({ type: 'done', id, error: null });
  }

  #answerOpened(): void {
    for (const { port, error } of this.#feed.opened()) {
      const id = this.#opening.get(port);
      this.#opening.delete(port);
      if (id !== undefined) this.#answer({ type: 'done', id, error: error === null ? null : plain(error) });
    }
  }

  #answer(answer: Answer): void {
    this.port.postMessage(answer);
  }
}

function plain(error: unknown): PlainError {
  const name = error instanceof Error ? error.name : 'Error';
  return { name, message: errorText(error), retryable: error instanceof PteropusError && error.retryable };
}

if (parentPort !== null) new PacketWorker(parentPort, workerData as WorkerStart).run();
