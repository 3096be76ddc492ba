/**
 * The pipeline in memory: nanoseconds a packet for established connections, without I/O.
 *   node build/js/bench/pipeline.js [--seconds N] [--batch 32]
 * Each figure is the best, median and worst of several rounds, less the time of the feed alone (which copies 64-112 bytes of
 * header into frames, as a driver would). Raw figures go to bench/results/pipeline.json.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import * as L from '../dataplane-as/layout.js';

// Before any module is compiled: only optimised code is measured.
setFlagsFromString('--no-liftoff');
const { Harness } = await import('../test/pipeline/harness.js');
const { scenarios } = await import('./pipeline-scenarios.js');

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const RECORD = 128;
const MOST_FLOWS = 65536;
const FLOWS = [1, 1000, 10_000, 64_000];
const ROUNDS = 7;

function option(name: string, fallback: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
}

const BATCH = option('batch', 64);
const ROUND_MS = (option('seconds', 20) * 1000) / (ROUNDS * FLOWS.length * 6 * 2);

interface Feed {
  feed(source: number, count: number, n: number, frames: number, frameSize: number): void;
}

/** Compiles dataplane-as/bench/feed.ts. */
function compileFeed(): Promise<WebAssembly.Module> {
  const out = `${ROOT}build/bench-feed.wasm`;
  const asc = `${ROOT}node_modules/.bin/asc`;
  const features = ['--enable', 'simd,threads,bulk-memory', '--optimizeLevel', '3', '--noAssert'];
  const shared = ['--importMemory', '--sharedMemory', '--initialMemory', '64', '--maximumMemory', '65536'];
  const source = `${ROOT}dataplane-as/bench/feed.ts`;
  const args = [
    asc,
    source,
    '--outFile',
    out,
    '--runtime',
    'stub',
    '--memoryBase',
    '512',
    ...features,
    ...shared,
  ];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return WebAssembly.compile(readFileSync(out));
}

interface Figures {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Nanoseconds a call of `pass` costs for each of its packets. */
function measure(pass: () => void): Figures {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    let packets = 0;
    const start = process.hrtime.bigint();
    let elapsed = 0;
    while (elapsed < ROUND_MS * 1e6) {
      for (let i = 0; i < 64; i++) {
        pass();
        packets += BATCH;
      }
      elapsed = Number(process.hrtime.bigint() - start);
    }
    rounds.push(elapsed / packets);
  }
  rounds.sort((a, b) => a - b);
  return { min: rounds[0]!, median: rounds[ROUNDS >> 1]!, max: rounds[ROUNDS - 1]! };
}

/** Connections see no answer here; what is measured is those that did. */
function establish(node: Node): void {
  for (let i = 0; i < 1 << node.sessionsLog2; i++) {
    const line = node.sessionsBase + i * L.SESSION_SIZE;
    if (node.view.getUint32(line, true) !== 0) node.bytes[line + L.S_STATE] = L.ST_ESTABLISHED;
  }
}

type Node = InstanceType<typeof Harness>;
type Scenario = (typeof scenarios)[number];

/** Nanoseconds a first packet costs: service, policy, route, source NAT, two session lines. */
function measureOpening(node: Node, copy: () => void, flows: number, outcome: number): Figures {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    node.bytes.fill(0, node.sessionsBase, node.sessionsBase + (L.SESSION_SIZE << node.sessionsLog2));
    const before = node.outcomeCount(outcome);
    const start = process.hrtime.bigint();
    for (let i = 0; i < flows / BATCH; i++) {
      copy();
      node.exports.process(BATCH, node.now);
    }
    rounds.push(Number(process.hrtime.bigint() - start) / flows);
    if (node.outcomeCount(outcome) - before !== flows) throw new Error('first packets went elsewhere');
  }
  rounds.sort((a, b) => a - b);
  return { min: rounds[0]!, median: rounds[ROUNDS >> 1]!, max: rounds[ROUNDS - 1]! };
}

interface Result {
  readonly scenario: string;
  readonly flows: number;
  readonly feed: Figures;
  readonly whole: Figures;
  readonly net: Figures;
  /** First packets, feed included; only with the most flows. */
  readonly opening: Figures | null;
}

function run(scenario: Scenario, flows: number, feedModule: WebAssembly.Module): Result {
  const node = new Harness({ sessionsLog2: 19, extraBytes: MOST_FLOWS * RECORD });
  scenario.prepare(node);
  const feeder = new WebAssembly.Instance(feedModule, { env: { memory: node.memory } });
  const { feed } = feeder.exports as unknown as Feed;
  const source = node.extraBase;
  for (let i = 0; i < flows; i++) {
    const { frame, port } = scenario.packet(i);
    node.bytes.set(frame, source + i * RECORD);
    node.view.setUint32(source + i * RECORD + 120, frame.length, true);
    node.view.setUint32(source + i * RECORD + 124, port, true);
  }
  const frames = node.frameAt(0);
  const copy = () => feed(source, flows, BATCH, frames, node.frameSize);
  const pass = () => {
    copy();
    node.exports.process(BATCH, node.now);
  };
  // Opens every connection.
  for (let first = 0; first < Math.max(flows, BATCH) * 2; first += BATCH) pass();
  establish(node);
  const before = node.outcomeCount(scenario.outcome);
  const created = node.sessionStat(L.SS_CREATED);
  const alone = measure(copy);
  let fed = 0;
  const whole = measure(() => {
    pass();
    fed += BATCH;
  });
  const right = node.outcomeCount(scenario.outcome) - before;
  if (right !== fed) throw new Error(`${scenario.name}: ${fed - right} of ${fed} packets went elsewhere`);
  const opened = node.sessionStat(L.SS_CREATED) - created;
  if (opened > fed / 1000) throw new Error(`${scenario.name}: ${opened} connections were opened again`);
  const net = {
    min: whole.min - alone.min,
    median: whole.median - alone.median,
    max: whole.max - alone.min,
  };
  const opening = flows === FLOWS.at(-1) ? measureOpening(node, copy, flows, scenario.outcome) : null;
  return { scenario: scenario.name, flows, feed: alone, whole, net, opening };
}

function line({ scenario, flows, net, opening }: Result): string {
  const figures = [net.min, net.median, net.max].map((ns) => ns.toFixed(1).padStart(7)).join('');
  const first = opening === null ? '' : opening.median.toFixed(0).padStart(14);
  const rate = (1000 / net.median).toFixed(1).padStart(8);
  return `${scenario.padEnd(14)}${String(flows).padStart(6)}${figures}${rate}${first}\n`;
}

const feedModule = await compileFeed();
const results: Result[] = [];
process.stdout.write(`${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version}, batch ${BATCH}\n`);
process.stdout.write('                      ns a packet, net of feed\n');
process.stdout.write('scenario       flows    min median    max    Mpps  first packet\n');
for (const scenario of scenarios) {
  for (const flows of FLOWS) {
    const result = run(scenario, flows, feedModule);
    results.push(result);
    process.stdout.write(line(result));
  }
}
mkdirSync(`${ROOT}bench/results`, { recursive: true });
const record = {
  date: new Date().toISOString(),
  cpu: cpus()[0]?.model,
  node: process.version,
  batch: BATCH,
  /** Above 1 per CPU others disturbed the run. */
  load: loadavg()[0],
  results,
};
writeFileSync(`${ROOT}bench/results/pipeline.json`, `${JSON.stringify(record, null, 2)}\n`);
