/**
 * The rule compiler at the sizes of large clusters:
 *   npm run bench:compile [-- --quick] [--only SHAPE]
 * Each run is a process of its own. Prints a table; raw figures go to bench/results/compile.json, a plot to
 * bench/results/compile.svg. Method: bench/README.md.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { NaiveFigures } from './compile-naive.js';
import { type CompileResults, plot } from './compile-plot.js';
import type { RunSpec } from './compile-run.js';
import { type EventFigures, type RunFigures, takeTurns } from './compile-turns.js';
import { benchOptions } from './options.js';
import { figures, paired } from './statistics.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const RESULTS = fileURLToPath(new URL('../../../bench/results/', import.meta.url));
const HEAP_MB = 4096;

type Of = Pick<RunSpec, 'shape' | 'size' | 'endpoints'>;

const FULL: readonly Of[] = [
  { shape: 'namespaces', size: 10_000, endpoints: 0 },
  { shape: 'namespaces', size: 100_000, endpoints: 0 },
  { shape: 'one-namespace', size: 10_000, endpoints: 0 },
  { shape: 'overlap', size: 10_000, endpoints: 0 },
  { shape: 'overlap', size: 100_000, endpoints: 0 },
  { shape: 'services', size: 10_000, endpoints: 50_000 },
  { shape: 'services', size: 30_000, endpoints: 250_000 },
  { shape: 'wide-service', size: 100, endpoints: 1000 },
  { shape: 'blocks', size: 10_000, endpoints: 0 },
];

const QUICK: readonly Of[] = [
  { shape: 'namespaces', size: 1000, endpoints: 0 },
  { shape: 'namespaces', size: 4000, endpoints: 0 },
  { shape: 'one-namespace', size: 1000, endpoints: 0 },
  { shape: 'overlap', size: 2000, endpoints: 0 },
  { shape: 'services', size: 300, endpoints: 1500 },
  { shape: 'wide-service', size: 20, endpoints: 200 },
  { shape: 'blocks', size: 200, endpoints: 0 },
];

const NAIVE: readonly Of[] = [
  { shape: 'one-namespace', size: 10_000, endpoints: 0 },
  { shape: 'namespaces', size: 100_000, endpoints: 0 },
];
const NAIVE_QUICK: readonly Of[] = [{ shape: 'one-namespace', size: 1000, endpoints: 0 }];

function naiveFigures(spec: RunSpec): NaiveFigures {
  const args = [`--max-old-space-size=${HEAP_MB}`, `${HERE}compile-naive.js`, JSON.stringify(spec)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
  });
  if (status !== 0) throw new Error(`${JSON.stringify(spec)}: ${stderr}`);
  return JSON.parse(stdout) as NaiveFigures;
}

function line(cells: readonly (string | number)[], widths: readonly number[]): string {
  return cells
    .map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i] ?? 0) : String(cell).padStart(widths[i] ?? 0)))
    .join('  ');
}

const ms = (time: number): string =>
  time >= 100 ? time.toFixed(0) : time >= 1 ? time.toFixed(1) : time.toFixed(3);

function eventCells(
  run: RunFigures,
  event: EventFigures,
  runs: readonly RunFigures[],
): readonly (string | number)[] {
  const { name, count, p50, p99, max, effective, changes } = event;
  const smaller = runs.find(({ spec }) => spec.shape === run.spec.shape);
  const before = smaller === run ? undefined : smaller?.events.find((other) => other.name === name);
  const share = `${(effective * 100).toFixed(0)} %`;
  const grown = (['p50', 'p99'] as const).map((figure) => growth(before, event, figure));
  const times = (run.scratch / Math.max(p50, 1e-6)).toFixed(0);
  return [`  ${name}`, count, ms(p50), ms(p99), ms(max), ...grown, share, changes.toFixed(1), times];
}

/** How much longer it takes than at the smaller size: the median of what each round, and the one made right before it there, say. */
function growth(before: EventFigures | undefined, now: EventFigures, figure: 'p50' | 'p99'): string {
  if (before === undefined) return '';
  const of = ({ rounds }: EventFigures): readonly number[] => rounds.map((round) => round[figure]);
  const percent = figures(paired(of(before), of(now), (a, b) => (b / a - 1) * 100)).median;
  return `${percent < 0 ? '-' : '+'}${Math.abs(percent).toFixed(0)} %`;
}

function print({ runs, naive }: CompileResults): void {
  const out = (text = ''): void => void process.stdout.write(`${text}\n`);
  const wide = [58, 8, 8, 8, 8, 8, 10, 9, 9, 8];
  out('Load and first compile of a node with 110 pods (milliseconds, MiB)');
  out(
    line(
      ['', 'objects', 'read', 'load', 'compile', 'sum', 'of scratch', 'peak MiB', 'heap MiB', 'ahead'],
      wide,
    ),
  );
  for (const run of runs) {
    const { text, objects, read, load, compile, scratch, ahead, peak, heap } = run;
    const times = [read, load, compile, read + load + compile, scratch].map(ms);
    out(line([text, objects, ...times, peak.toFixed(0), heap.toFixed(0), ms(ahead)], wide));
  }
  out();
  out(
    'One event (milliseconds, median of the rounds); growth: against the smaller size; x scratch: how many times as long a compile from scratch takes',
  );
  const narrow = [58, 7, 8, 8, 8, 8, 8, 9, 9, 10];
  const heads = ['events', 'p50', 'p99', 'max', 'p50 grows', 'p99 grows', 'changing', 'changes', 'x scratch'];
  for (const run of runs) {
    out(line([run.text, ...heads], narrow));
    for (const event of run.events) out(line(eventCells(run, event, runs), narrow));
  }
  out();
  out(
    'One verdict (milliseconds): the naive evaluator on the objects, and the compiled ruleset plainly interpreted',
  );
  for (const { text, verdicts, naive: slow, compiled } of naive) {
    out(`  ${text}: ${ms(slow)} and ${ms(compiled)}, ${verdicts} verdicts, all alike`);
  }
}

const ROUNDS = '5';

const {
  quick = false,
  only,
  rounds = quick ? '1' : ROUNDS,
} = benchOptions(
  'usage: npm run bench:compile [-- --quick] [-- --only namespaces|one-namespace|overlap|services|wide-service|blocks] [-- --rounds N]',
  { quick: { type: 'boolean' }, only: { type: 'string' }, rounds: { type: 'string' } },
);
const chosen = (list: readonly Of[]): readonly Of[] =>
  list.filter(({ shape }) => only === undefined || shape === only);

const start = Date.now();
const all = chosen(quick ? QUICK : FULL);
const runs: RunFigures[] = [];
for (const shape of new Set(all.map((of) => of.shape))) {
  const sizes = all.filter((of) => of.shape === shape);
  process.stderr.write(`${shape} ${sizes.map(({ size }) => size).join(' and ')} …\n`);
  const specs = sizes.map((of) => ({ ...of, events: quick ? 100 : 1000 }));
  runs.push(...(await takeTurns(specs, Number(rounds), HEAP_MB)));
}
const naive = chosen(quick ? NAIVE_QUICK : NAIVE).map((of) =>
  naiveFigures({ ...of, events: of.size > 10_000 ? 20 : 100 }),
);
const results: CompileResults = {
  machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
  node: process.version,
  date: new Date().toISOString().slice(0, 10),
  runs,
  naive,
};
print(results);
if (!quick && only === undefined) {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(`${RESULTS}compile.json`, `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(`${RESULTS}compile.svg`, plot(results));
  process.stdout.write(
    `\nbench/results/compile.json and compile.svg written (${((Date.now() - start) / 1000).toFixed(0)} s)\n`,
  );
}
