/**
 * The pipeline in memory against the same algorithm in C: `npm run bench:dataplane [--rounds N] [--flows a,b]`.
 * How each figure is made, and what would make it unfair: bench/README.md.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { benchOptions } from './options.js';
import { buildAssembly, buildPeer, compiler, ROOT } from './peers/build.js';
import { Peer } from './peers/peer.js';

// Before any module is compiled: only optimised code is measured.
setFlagsFromString('--no-liftoff');
const { Harness } = await import('../test/pipeline/harness.js');
const { scenarios } = await import('./pipeline-scenarios.js');
const { Sides } = await import('./dataplane-sides.js');
const { established, opening, stages } = await import('./dataplane-run.js');
const { plot } = await import('./dataplane-plot.js');
const { tables, tableText } = await import('./dataplane-tables.js');
const { large, largeText } = await import('./dataplane-large.js');
const { classification } = await import('./classify/run.js');

const { rounds, flows } = benchOptions('usage: npm run bench:dataplane [-- --rounds N] [-- --flows a,b,c]', {
  rounds: { type: 'string', default: '24' },
  flows: { type: 'string', default: '1,1000,10000,64000,500000' },
});
const ROUNDS = Number(rounds);
const FLOWS = flows.split(',').map(Number);

type Result = Awaited<ReturnType<typeof established>>;

function row(result: Result): string {
  const three = (f: Result['wasm']) => [f.median, f.min, f.max].map((x) => x.toFixed(1).padStart(8)).join('');
  const ratio = result.ratio.median.toFixed(2).padStart(7);
  const name = result.scenario.padEnd(24) + String(result.flows).padStart(7);
  return `${name}${three(result.wasm)}  ${three(result.native)} ${ratio}\n`;
}

const built = buildPeer();
if ('missing' in built) process.stderr.write(`without the C peer: ${built.missing}\n`);
const unproved = buildPeer({ proves: false });
const module = await WebAssembly.compile(readFileSync(buildAssembly('stages')));
const results: Result[] = [];
const note = (result: Result) => {
  results.push(result);
  process.stdout.write(row(result));
};
const began = Date.now();
const cpu = cpus()[0]?.model ?? 'unknown CPU';
process.stdout.write(
  `${cpu}, Linux ${release()}, Node ${process.version}, load ${loadavg()[0]?.toFixed(1)}\n`,
);
process.stdout.write('                                  WebAssembly, ns a packet      C -O3 -march=native\n');
process.stdout.write(
  'case                      flows  median     min     max    median     min     max C/WASM\n',
);
for (const scenario of scenarios) {
  for (const flows of FLOWS) {
    const peer = 'path' in built ? new Peer(built.path) : null;
    const sides = await Sides.start((options) => new Harness(options), scenario, flows, module, peer);
    note(await established(sides, ROUNDS));
    const full = scenario === scenarios.at(-1);
    if (full && flows === 10_000) for (const stage of await stages(sides, ROUNDS)) note(stage);
    if (full && flows === 10_000 && 'path' in unproved) {
      // What validation costs: the same packets through C that takes every one for good.
      const other = new Peer(unproved.path);
      const beside = await Sides.start((options) => new Harness(options), scenario, flows, module, other);
      note({ ...(await established(beside, ROUNDS)), scenario: 'full, C unvalidated' });
      other.close();
    }
    if (full && flows >= 10_000 && flows <= 100_000) note(await opening(sides, 15));
    peer?.close();
  }
}
const changes = tables(() => new Harness({ imageSize: 2 ** 22 }));
process.stdout.write(tableText(changes));
const most = await large();
if (most !== null) process.stdout.write(largeText(most));
const acl = await classification((line) => process.stdout.write(line));
mkdirSync(`${ROOT}bench/results`, { recursive: true });
const record = {
  date: new Date().toISOString(),
  seconds: (Date.now() - began) / 1000,
  machine: { cpu, cores: cpus().length, memory: totalmem(), kernel: release(), node: process.version },
  /** Above 1 per core others disturbed the run. */
  load: loadavg()[0],
  compiler: compiler(),
  results,
  tables: changes,
  large: most,
  classification: acl,
};
writeFileSync(`${ROOT}bench/results/dataplane.json`, `${JSON.stringify(record, null, 1)}\n`);
for (const [name, svg] of plot(results, `${cpu}, Node ${process.version}`)) {
  writeFileSync(`${ROOT}bench/results/${name}.svg`, svg);
}
