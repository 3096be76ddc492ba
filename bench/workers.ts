/**
 * What several workers bring and cost, in memory: packets a second of one worker and of several with as many cores, of connections that
 * are established and of new ones, in one table for all. Method in bench/README.md.
 *
 *   node build/js/bench/workers.js [--workers 2] [--rounds 9]
 */
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import * as L from '../dataplane-as/layout/index.js';
import { WASM_PATH } from '../test/pipeline/harness.js';
import * as N from '../test/pipeline/node.js';
import { startWorkers, type Workers } from '../test/pipeline/workers.js';
import { benchOptions } from './options.js';
import { figures } from './statistics.js';
import { GO, VECTOR_BYTES, type WorkerSpec } from './workers-thread.js';

const options = benchOptions('usage: node build/js/bench/workers.js [--workers 2] [--rounds 9]', {
  workers: { type: 'string', default: '2' },
  rounds: { type: 'string', default: '9' },
});
const COUNT = Number(options.workers);
const ROUNDS = Number(options.rounds);
const STRIDE = 256;
const ROOM = 128;
const BATCH_BYTES = VECTOR_BYTES + L.BATCH * STRIDE;
/** Flows of a worker: established ones, and those of one round of new ones. */
const ESTABLISHED = 10_048;
const FRESH = 32_768;
const BATCHES = (ESTABLISHED + FRESH) / L.BATCH;
const PASSES = 40;
/** Lines of a table with room for all, and of one that is full all the time. */
const ROOMY_LOG2 = 20;
const FULL_LOG2 = 14;

interface Running {
  readonly thread: Worker;
  readonly pass: (first: number, last: number, passes: number, go: number) => Promise<number>;
}

class Lab {
  readonly #workers: Workers;
  readonly #shared = new SharedArrayBuffer(4);
  readonly #go = new Int32Array(this.#shared);
  #running: Running[] = [];

  constructor(
    readonly count: number,
    readonly sessionsLog2: number,
  ) {
    const extraBytes = BATCHES * BATCH_BYTES + L.BATCH * STRIDE;
    const size = { sessionsLog2, sessions6Log2: 4, extraBytes };
    this.#workers = startWorkers({}, { count, ...size });
    for (const [worker] of this.#workers.all.entries()) this.#prepare(worker);
  }

  async start(): Promise<void> {
    const module = await WebAssembly.compile(readFileSync(WASM_PATH));
    this.#running = await Promise.all(
      this.#workers.all.map(async ({ memory, extraBase }) => {
        const spec: WorkerSpec = {
          ...{ module, memory, prepared: extraBase + L.BATCH * STRIDE, batches: BATCHES },
          ...{ batchBytes: BATCH_BYTES, frames: extraBase, shared: this.#shared },
        };
        const thread = new Worker(new URL('./workers-thread.js', import.meta.url), { workerData: spec });
        const next = (): Promise<unknown> => new Promise((resolve) => thread.once('message', resolve));
        await next();
        return {
          thread,
          pass: async (first: number, last: number, passes: number, go: number) => {
            const ended = next();
            thread.postMessage({ first, last, passes, go });
            return Number(await ended);
          },
        };
      }),
    );
  }

  /** Packets a second of all workers together. */
  async #round(first: number, last: number, passes: number): Promise<number> {
    const go = Atomics.load(this.#go, 0) + 1;
    const ends = this.#running.map(({ pass }) => pass(first, last, passes, go));
    await new Promise((resolve) => setTimeout(resolve, 20));
    Atomics.store(this.#go, GO, go);
    Atomics.notify(this.#go, GO);
    const longest = Math.max(...(await Promise.all(ends)));
    return ((last - first) * L.BATCH * passes * this.count * 1000) / longest;
  }

  established(): Promise<number> {
    return this.#round(0, ESTABLISHED / L.BATCH, PASSES);
  }

  /** Each packet opens a connection, in tables that are empty but for the established ones. */
  async fresh(): Promise<number> {
    const before = this.#created();
    const rate = await this.#round(ESTABLISHED / L.BATCH, BATCHES, 1);
    if (this.#created() - before !== FRESH * this.count)
      throw new Error(`${this.#created() - before} connections were opened of ${FRESH * this.count}`);
    await this.#forget();
    return rate;
  }

  /** The same in a table that is full: each evicts another one. Packets of two workers that meet in it are lost, which is counted. */
  async evicting(): Promise<{ readonly rate: number; readonly lost: number }> {
    const before = this.#forwarded();
    const rate = await this.#round(ESTABLISHED / L.BATCH, BATCHES, 1);
    return { rate, lost: 1 - (this.#forwarded() - before) / (FRESH * this.count) };
  }

  #forwarded(): number {
    return this.#workers.all.reduce((sum, node) => sum + node.outcomeCount(L.OUT_FORWARD_POD), 0);
  }

  #created(): number {
    return this.#workers.all.reduce((sum, node) => sum + node.sessionStat(L.SS_CREATED), 0);
  }

  /** Empties the table, and opens the established connections again. */
  async #forget(): Promise<void> {
    const { bytes, sessionsBase } = this.#workers.at(0);
    bytes.fill(0, sessionsBase, sessionsBase + L.SESSION_SIZE * 2 ** this.sessionsLog2);
    await this.#round(0, ESTABLISHED / L.BATCH, 2);
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map(({ thread }) => thread.terminate()));
  }

  /** UDP of 22 bytes from one pod to the other; the flows of one worker are nobody else's. */
  #prepare(worker: number): void {
    const node = this.#workers.at(worker);
    const data = new Uint8Array(18);
    for (let i = 0; i < BATCHES * L.BATCH; i++) {
      const flow = N.flow(
        N.POD1_IP,
        1024 + (i % 50_000),
        N.POD2_IP,
        10_000 + 16 * Math.floor(i / 50_000) + worker,
      );
      const frame = N.fromPod(N.POD1, N.udpPacket(flow, data));
      const place = i % L.BATCH;
      const batch = node.extraBase + L.BATCH * STRIDE + Math.floor(i / L.BATCH) * BATCH_BYTES;
      const v = batch + place * L.VECTOR_SIZE;
      const set = (offset: number, value: number): void => node.view.setUint32(v + offset, value, true);
      set(L.V_ADDRESS, node.extraBase + place * STRIDE + ROOM);
      set(L.V_LENGTH, frame.length);
      set(L.V_TOTAL, frame.length);
      set(L.V_RX_PORT, N.POD1);
      node.bytes.set(frame, batch + VECTOR_BYTES + place * STRIDE + ROOM);
    }
  }
}

const labs = [1, COUNT].map((count) => new Lab(count, ROOMY_LOG2));
const fullLabs = [1, COUNT].map((count) => new Lab(count, FULL_LOG2));
const none = (): number[][] => labs.map(() => []);
const rates = { established: none(), fresh: none(), evicting: none() };
const lost = none();
for (const lab of [...labs, ...fullLabs]) {
  await lab.start();
  await lab.established();
}
for (let round = 0; round < ROUNDS; round++) {
  for (const [i, lab] of labs.entries()) {
    rates.established[i]?.push(await lab.established());
    rates.fresh[i]?.push(await lab.fresh());
  }
  for (const [i, lab] of fullLabs.entries()) {
    const found = await lab.evicting();
    rates.evicting[i]?.push(found.rate);
    lost[i]?.push(found.lost);
  }
}
for (const lab of [...labs, ...fullLabs]) await lab.close();

const mpps = (values: readonly number[]): string => {
  const { min, median, max } = figures(values.map((value) => value / 1e6));
  return [median, min, max].map((value) => value.toFixed(1).padStart(7)).join(' ');
};
process.stdout.write(`M packets a second            1 worker             ${COUNT} workers\n`);
process.stdout.write(
  '                       median     min     max  median     min     max   ratio (median, best)\n',
);
for (const [name, [one = [], several = []]] of Object.entries(rates)) {
  const [a, b] = [figures(one), figures(several)];
  const ratios = `${(b.median / a.median).toFixed(2)} ${(b.max / a.max).toFixed(2)}`;
  process.stdout.write(`${name.padEnd(20)} ${mpps(one)} ${mpps(several)}   ${ratios}\n`);
}
const [alone, together] = lost.map((values) => `${(100 * Math.max(...values)).toFixed(2)} %`);
process.stdout.write(
  `of those that evict, lost at most: ${alone} with 1 worker, ${together} with ${COUNT}\n`,
);
