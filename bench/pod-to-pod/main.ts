/**
 * Pod to pod, 64-byte packets a second through one node, beside Linux doing the same in the same run; method in bench/README.md.
 *
 *   node build/js/bench/pod-to-pod/main.js [--rounds 3] [--flows 10000]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { loadNative } from '../../native/index.js';
import { benchOptions } from '../options.js';
import { figures } from '../statistics.js';
import { CASES, type Case } from './cases.js';
import { openDataPlaneSide } from './dataplane.js';
import { openKernelSide, openSinkSide } from './kernel.js';
import type { Place, Side } from './lab.js';
import type { StationReport, StationSpec } from './station.js';

const RESULTS = fileURLToPath(new URL('../../../../bench/results/pod-to-pod.json', import.meta.url));
const SENDER_CORE = 0;
const NODE_CORE = 1;
const WARM_MS = 300;
const MEASURE_MS = 1000;

const usage = 'usage: npm run bench:pod-to-pod -- [--rounds N] [--flows N] [--only TEXT]      (as root)';
const options = benchOptions(usage, {
  rounds: { type: 'string', default: '3' },
  flows: { type: 'string', default: '10000' },
  only: { type: 'string', default: '' },
});
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Rate {
  /** Packets a second that arrived, and that the generator sent. */
  readonly received: number;
  readonly sent: number;
}

async function measure(side: Side, test: Case, flows: number): Promise<Rate> {
  const { wires } = side;
  const spec: StationSpec = {
    client: wires.path('client'),
    exit: wires.path(test.exit),
    case: test,
    flows,
    core: SENDER_CORE,
    open: side.sink !== true,
    millis: WARM_MS + MEASURE_MS + 200,
  };
  const receiver: Place = side.sink === true ? 'node' : test.counted === 'calls' ? test.exit : 'client';
  const worker = new Worker(new URL('./station.js', import.meta.url), { workerData: spec });
  try {
    return await new Promise<Rate>((resolve, reject) => {
      let received = Number.NaN;
      const count = async (): Promise<void> => {
        await pause(WARM_MS);
        const before = wires.received(receiver);
        const start = performance.now();
        await pause(MEASURE_MS);
        const after = wires.received(receiver);
        received = ((after - before) * 1000) / (performance.now() - start);
      };
      let counting: Promise<void> = Promise.resolve();
      worker.on('error', reject);
      worker.on('message', (report: StationReport) => {
        if (report.type === 'sending') counting = count();
        else counting.then(() => resolve({ received, sent: report.rate }), reject);
      });
    });
  } finally {
    await worker.terminate();
  }
}

const mega = (rate: number): string => (rate / 1e6).toFixed(3);

async function main(): Promise<void> {
  const [rounds, flows] = [Number(options.rounds), Number(options.flows)];
  // The worker takes over where its process may run; what this thread does meanwhile is the sender's.
  loadNative().pinThread(NODE_CORE);
  const sides: Side[] = [];
  try {
    sides.push(await openDataPlaneSide('data plane, afxdp', 'dp', 'afxdp'));
    sides.push(await openDataPlaneSide('data plane, tap', 'dpt', 'tap'));
    loadNative().pinThread(SENDER_CORE);
    sides.push(
      openSinkSide('nothing but the sender', 'none'),
      openKernelSide('conntrack', 'ct', false, null),
      openKernelSide('conntrack, steered', 'cts', false, NODE_CORE),
      openKernelSide('nftables sets', 'nft', true, null),
      openKernelSide('nftables sets, steered', 'nfts', true, NODE_CORE),
    );
    const cases = CASES.filter(({ name }) => name.includes(options.only));
    const results = cases.map((test) => ({
      test,
      sides: sides.map(({ name }) => ({ name, rates: [] as Rate[] })),
    }));
    for (let round = 0; round < rounds; round++) {
      for (const result of results)
        for (const [n, side] of sides.entries())
          if (side.sink !== true || result.test.counted === 'calls')
            result.sides[n]!.rates.push(await measure(side, result.test, flows));
    }
    const machine = { kernel: release(), cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
    const raw = { machine, load: loadavg(), date: new Date().toISOString(), flows, results };
    if (options.only === '') {
      mkdirSync(dirname(RESULTS), { recursive: true });
      writeFileSync(RESULTS, `${JSON.stringify(raw, null, 2)}\n`);
    }
    process.stdout.write(
      `Mpps at the receiver: median (lowest to highest); sent; ours is so many times it\n`,
    );
    for (const { test, sides: measured } of results) {
      process.stdout.write(`${test.name}\n`);
      const ours = figures(measured[0]!.rates.map(({ received }) => received)).median;
      for (const { name, rates } of measured) {
        if (rates.length === 0) continue;
        const { median, min, max } = figures(rates.map(({ received }) => received));
        const sent = figures(rates.map((rate) => rate.sent)).median;
        const cells = [
          `${mega(median)} (${mega(min)} to ${mega(max)})`,
          mega(sent),
          (ours / median).toFixed(2),
        ];
        process.stdout.write(`  ${name.padEnd(24)}${cells.map((cell) => cell.padStart(26)).join('')}\n`);
      }
    }
  } finally {
    for (const side of sides) await side.close();
  }
}

await main();
