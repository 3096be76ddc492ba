/**
 * The data plane's worker thread: nothing but the packet loop. It never returns to its event loop; requests are looked for
 * between batches, and no batch allocates anything.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { PipelineLoop } from '../backends/wasm/loop.js';
import { startPipeline } from '../backends/wasm/pipeline.js';
import { XdpFeed } from '../backends/wasm/xdp-feed.js';
import { errorText, PteropusError } from '../common/errors.js';
import {
  type Answer,
  HEARTBEAT,
  type PlainError,
  POSTED,
  type Request,
  TRAPS,
  type WorkerStart,
} from './messages.js';

/** Empty rounds before the thread sleeps, and how long it sleeps at most. */
const SPINS = 128;
const SLEEP_MICROS = 50_000;

function plain(error: unknown): PlainError {
  const name = error instanceof Error ? error.name : 'Error';
  return { name, message: errorText(error), retryable: error instanceof PteropusError && error.retryable };
}

/** Carries one request out; false for `stop`. */
function serve(request: Request, feed: XdpFeed, loop: PipelineLoop, answer: (a: Answer) => void): boolean {
  const { id } = request;
  try {
    if (request.type === 'open') feed.openPort(request.port, request.link);
    else if (request.type === 'close') feed.closePort(request.port);
    else if (request.type === 'neighbors') loop.setNeighbors(request.neighbors);
    else if (request.type === 'counters') {
      answer({ type: 'counters', id, counters: request.ports.map((port) => feed.counters(port)) });
      return true;
    }
    answer({ type: 'done', id, error: null });
  } catch (error) {
    answer({ type: 'done', id, error: plain(error) });
  }
  return request.type !== 'stop';
}

/** Takes all waiting requests; false when one of them was `stop`. */
function serveAll(port: MessagePort, feed: XdpFeed, loop: PipelineLoop): boolean {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    if (!serve(next.message as Request, feed, loop, (a) => port.postMessage(a))) return false;
  }
  return true;
}

/** Rounds without end; returns false when it is told to stop. `state.served` = posts seen so far. */
function work(
  port: MessagePort,
  feed: XdpFeed,
  loop: PipelineLoop,
  shared: Int32Array,
  origin: number,
  state: { served: number },
): boolean {
  let idle = 0;
  for (;;) {
    const now = Math.floor(origin + performance.now());
    loop.maintain(now);
    const n = loop.round(now, idle < SPINS ? 0 : SLEEP_MICROS);
    idle = n === 0 ? idle + 1 : 0;
    Atomics.add(shared, HEARTBEAT, 1);
    const posted = Atomics.load(shared, POSTED);
    if (posted === state.served) continue;
    state.served = posted;
    if (!serveAll(port, feed, loop)) return false;
  }
}

function run(port: MessagePort, start: WorkerStart): void {
  const shared = new Int32Array(start.shared);
  const feed = new XdpFeed(start.memory, start.plan, start.netns);
  const loop = new PipelineLoop(start.memory, start.plan, startPipeline(start.module, start.memory), feed);
  // The same clock in every worker, so that sessions live on when one takes over from another.
  const origin = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  port.postMessage({ type: 'ready', wakeFd: feed.wakeFd } satisfies Answer);
  const state = { served: -1 };
  for (let running = true; running; ) {
    try {
      running = work(port, feed, loop, shared, origin, state);
    } catch {
      // A trap: the packets of this batch are lost, the pipeline starts anew over the same tables and sessions.
      Atomics.add(shared, TRAPS, 1);
      loop.dropBatch();
      loop.pipeline = startPipeline(start.module, start.memory);
    }
  }
  feed.close();
  port.close();
}

if (parentPort !== null) run(parentPort, workerData as WorkerStart);
