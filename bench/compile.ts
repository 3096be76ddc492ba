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
import { plot } from './compile-plot.js';
import type { RunFigures, RunSpec } from './compile-run.js';
import { benchOptions } from './options.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const RESULTS = fileURLToPath(new URL('../../../bench/results/', import.meta.url));
const HEAP_MB = 4096;

export interface CompileResults {
  readonly machine: string;
  readonly node: string;
  readonly date: string;
  readonly runs: readonly RunFigures[];
  readonly naive: readonly NaiveFigures[];
}

type Of = Pick<RunSpec, 'shape' | 'size' | 'endpoints'>;

const FULL: readonly Of[] = [
  { shape: 'namespaces', size: 10_000, endpoints: 0 },
  { shape: 'namespaces', size: 100_000, endpoints: 0 },
  { shape: 'one-namespace', size: 10_000, endpoints: 0 },
  { shape: 'overlap', size: 10_000, endpoints: 0 },
  { shape: 'overlap', size: 100_000, endpoints: 0 },
  { shape: 'services', size: 10_000, endpoints: 50_000 },
  { shape: 'services', size: 30_000, endpoints: 250_000 },
  { shape: 'blocks', size: 10_000, endpoints: 0 },
];

const QUICK: readonly Of[] = [
  { shape: 'namespaces', size: 1000, endpoints: 0 },
  { shape: 'namespaces', size: 4000, endpoints: 0 },
  { shape: 'one-namespace', size: 1000, endpoints: 0 },
  { shape: 'overlap', size: 2000, endpoints: 0 },
  { shape: 'services', size: 300, endpoints: 1500 },
  { shape: 'blocks', size: 200, endpoints: 0 },
];

const NAIVE: readonly Of[] = [
  { shape: 'one-namespace', size: 10_000, endpoints: 0 },
  { shape: 'namespaces', size: 100_000, endpoints: 0 },
];
const NAIVE_QUICK: readonly Of[] = [{ shape: 'one-namespace', size: 1000, endpoints: 0 }];

function child<T>(program: string, spec: RunSpec): T {
  const args = [
    '--expose-gc',
    `--max-old-space-size=${HEAP_MB}`,
    `${HERE}${program}.js`,
    JSON.stringify(spec),
  ];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
  });
  if (status !== 0) throw new Error(`${JSON.stringify(spec)}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

function line(cells: readonly (string | number)[], widths: readonly number[]): string {
  return cells
    .map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i] ?? 0) : String(cell).padStart(widths[i] ?? 0)))
    .join('  ');
}

const ms = (time: number): string =>
  time >= 100 ? time.toFixed(0) : time >= 1 ? time.toFixed(1) : time.toFixed(3);

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
  out('One event (milliseconds); x scratch: how many times as long a compile from scratch takes');
  const narrow = [42, 7, 9, 9, 9, 9, 9, 12];
  for (const { text, events, scratch } of runs) {
    out(
      line(
        [text, 'events', 'p50', 'p99', 'max', 'changing', 'changes', 'x scratch'],
        [58, ...narrow.slice(1)],
      ),
    );
    for (const { name, count, p50, p99, max, effective, changes } of events) {
      const share = `${(effective * 100).toFixed(0)} %`;
      const cells = [`  ${name}`, count, ms(p50), ms(p99), ms(max), share, changes.toFixed(1)];
      out(line([...cells, (scratch / Math.max(p50, 1e-6)).toFixed(0)], [58, ...narrow.slice(1)]));
    }
  }
  out();
  out(
    'One verdict (milliseconds): the naive evaluator on the objects, and the compiled ruleset plainly interpreted',
  );
  for (const { text, verdicts, naive: slow, compiled } of naive) {
    out(`  ${text}: ${ms(slow)} and ${ms(compiled)}, ${verdicts} verdicts, all alike`);
  }
}

const { quick = false, only } = benchOptions(
  'usage: npm run bench:compile [-- --quick] [-- --only namespaces|one-namespace|overlap|services|blocks]',
  { quick: { type: 'boolean' }, only: { type: 'string' } },
);
const chosen = (list: readonly Of[]): readonly Of[] =>
  list.filter(({ shape }) => only === undefined || shape === only);

const start = Date.now();
const runs = chosen(quick ? QUICK : FULL).map((of) => {
  process.stderr.write(`${of.shape} ${of.size} …\n`);
  return child<RunFigures>('compile-child', { ...of, events: quick ? 100 : 1000 });
});
const naive = chosen(quick ? NAIVE_QUICK : NAIVE).map((of) =>
  child<NaiveFigures>('compile-naive', { ...of, events: of.size > 10_000 ? 20 : 100 }),
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
