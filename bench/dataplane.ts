/**
 * The data plane: `npm run bench:dataplane [-- --parts a,b] [-- --rounds N] [-- --flows a,b]`. Parts: the pipeline in memory against the
 * same algorithm in C, changes of tables, classification, and pods in namespaces beside the kernel's own way.
 * How each figure is made, and what would make it unfair: bench/README.md.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release as kernel, loadavg, totalmem } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import type { HarnessOptions } from '../test/pipeline/harness.js';
import { others } from './dataplane-others.js';
import { onOneCore } from './one-core.js';
import { benchOptions } from './options.js';
import { buildAssembly, buildPeer, compiler, ROOT } from './peers/build.js';
import { Peer } from './peers/peer.js';

// Before any module is compiled: only optimised code is measured.
setFlagsFromString('--no-liftoff');
const { Harness } = await import('../test/pipeline/harness.js');
const { scenarios } = await import('./pipeline-scenarios.js');
const { Sides } = await import('./dataplane-sides.js');
const { empty, established, opening, overPlacements, stages } = await import('./dataplane-run.js');
const { plot } = await import('./dataplane-plot.js');
const { tables, tableText } = await import('./dataplane-tables.js');
const { large, largeText } = await import('./dataplane-large.js');
const { classification } = await import('./classify/run.js');

type Result = Awaited<ReturnType<typeof established>>;
type Say = (text: string) => void;

const FILE = `${ROOT}bench/results/dataplane.json`;
/** Rounds in which many connections are opened, which take long. */
const OPENING_ROUNDS = 15;
const MANY = 100_000;
/** More flows than lie in the first cache: others on the machine have the rest too, and slow one pass of either side by a tenth, the next one not. */
const IN_FIRST_CACHE = 1000;
/** So many times the rounds then. */
const MORE_ROUNDS = 12;
/** So often new memory is taken with more flows than lie in the second cache; less often where it takes long. */
const placements = (flows: number): number => (flows <= 10_000 ? 1 : flows < MANY ? 5 : 3);
/** Numbers of flows with which stages are measured one by one. */
const STAGE_FLOWS = [1000, 10_000];
const ALL_FLOWS = '1,1000,10000,64000,500000';
const ALL_ROUNDS = '60';

function row(result: Result): string {
  const three = (f: Result['wasm']) => [f.median, f.min, f.max].map((x) => x.toFixed(1).padStart(8)).join('');
  const ratios = [result.ratio.median, result.ratio.low].map((x) => x.toFixed(2).padStart(8)).join('');
  const name = result.scenario.padEnd(24) + String(result.flows).padStart(7);
  return `${name}${three(result.wasm)}  ${three(result.native)} ${ratios}\n`;
}

async function memory(say: Say, flowCounts: readonly number[], rounds: number): Promise<Result[]> {
  const built = buildPeer();
  if ('missing' in built) process.stderr.write(`without the C peer: ${built.missing}\n`);
  const unproved = buildPeer({ proves: false });
  const module = await WebAssembly.compile(readFileSync(buildAssembly('stages')));
  const results: Result[] = [];
  const note = (result: Result) => {
    results.push(result);
    say(row(result));
  };
  say(`${''.padEnd(34)}WebAssembly, ns a packet      C -O3 -march=native            C/WASM\n`);
  say(`${'case'.padEnd(26)}flows  median     min     max    median     min     max  median     low\n`);
  for (const scenario of scenarios) {
    for (const flows of flowCounts) {
      const make = (options: HarnessOptions) => new Harness(options);
      const newPeer = () => ('path' in built ? new Peer(built.path) : null);
      const total = flows > IN_FIRST_CACHE ? MORE_ROUNDS * rounds : rounds;
      const each = Math.ceil(total / placements(flows));
      let sides = await Sides.start(make, scenario, flows, module, newPeer());
      const placed = [await established(sides, each)];
      while (placed.length < placements(flows)) {
        const before = sides;
        sides = await before.moved(make, module, newPeer());
        before.peer?.close();
        placed.push(await established(sides, each));
      }
      note(overPlacements(placed));
      const full = scenario === scenarios.at(-1);
      if (full && STAGE_FLOWS.includes(flows)) for (const stage of await stages(sides, rounds)) note(stage);
      if (full && flows === 10_000) note(await empty(sides, rounds));
      if (full && flows === 10_000 && 'path' in unproved) {
        // What validation costs: the same packets through C that takes every one for good.
        const other = new Peer(unproved.path);
        const beside = await Sides.start(make, scenario, flows, module, other);
        note({ ...(await established(beside, rounds)), scenario: 'full, C unvalidated' });
        other.close();
      }
      if (full && flows >= 1000) note(await opening(sides, flows > MANY ? 6 : OPENING_ROUNDS));
      sides.peer?.close();
    }
  }
  return results;
}

const PARTS = ['memory', 'tables', 'classification', 'pods'] as const;
type Part = (typeof PARTS)[number];
const usage = `usage: npm run bench:dataplane [-- --parts ${PARTS.join()}] [-- --rounds N] [-- --flows a,b,c]`;
const options = benchOptions(usage, {
  parts: { type: 'string', default: PARTS.join() },
  rounds: { type: 'string', default: ALL_ROUNDS },
  flows: { type: 'string', default: ALL_FLOWS },
});

/** What the plots show. */
let drawn: readonly Result[] = [];

/** What a part leaves in the raw file. */
async function measure(part: Part, say: Say): Promise<object> {
  if (part === 'memory') {
    drawn = await memory(say, options.flows.split(',').map(Number), Number(options.rounds));
    return drawn;
  }
  if (part === 'classification') return classification(say);
  if (part === 'pods') return others(say);
  const changes = tables(() => new Harness({ imageSize: 2 ** 22 }));
  say(tableText(changes));
  const most = await large();
  if (most !== null) say(largeText(most));
  return { ...changes, large: most };
}

async function main(): Promise<void> {
  const wanted = options.parts.split(',');
  const unknown = wanted.find((name) => !PARTS.some((part) => part === name));
  if (unknown !== undefined) {
    process.stderr.write(`no such part: ${unknown}\n${usage}\n`);
    process.exit(2);
  }
  const cpu = cpus()[0]?.model ?? 'unknown CPU';
  const say: Say = (text) => void process.stdout.write(text);
  say(`${cpu}, Linux ${kernel()}, Node ${process.version}, load ${loadavg()[0]?.toFixed(1)}\n`);
  // What is not measured now stays as it was, with the date it is from.
  const old = existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as { parts?: object }).parts : {};
  const parts: Partial<Record<Part, object>> = { ...old };
  const start = Date.now();
  for (const part of PARTS) {
    if (!wanted.includes(part)) continue;
    const [began, load] = [Date.now(), loadavg()[0]];
    // Pods and their senders want cores of their own.
    const undo = part === 'pods' ? () => undefined : onOneCore();
    const results = await measure(part, say).finally(undo);
    const seconds = (Date.now() - began) / 1000;
    // A load above 1 a core: others disturbed it.
    parts[part] = { date: new Date().toISOString(), seconds, load, results };
  }
  say(`${((Date.now() - start) / 1000).toFixed(0)} s\n`);
  // Few rounds, or some numbers of flows, are for looking, not for keeping.
  if (options.flows !== ALL_FLOWS || options.rounds !== ALL_ROUNDS) return;
  const [cores, bytes] = [cpus().length, totalmem()];
  const machine = { cpu, cores, memory: bytes, kernel: kernel(), node: process.version };
  mkdirSync(`${ROOT}bench/results`, { recursive: true });
  writeFileSync(FILE, `${JSON.stringify({ machine, compiler: compiler(), parts }, null, 1)}\n`);
  if (!wanted.includes('memory')) return;
  for (const [name, svg] of plot(drawn, `${cpu}, Node ${process.version}`))
    writeFileSync(`${ROOT}bench/results/${name}.svg`, svg);
}

await main();
