/** Runs of one shape at several sizes, which take turns, so that what else the machine does meets them alike. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Ask, RoundFigures, Started } from './compile-child.js';
import type { LoadFigures, RunSpec } from './compile-run.js';

export interface EventFigures {
  readonly name: string;
  /** Milliseconds: the medians of the rounds, and the longest of all. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Milliseconds: the lowest of the rounds. */
  readonly lowest: { readonly p50: number; readonly p99: number };
  /** Of all rounds: see RoundFigures. */
  readonly count: number;
  readonly preempted: number;
  readonly ahead: number;
  readonly effective: number;
  readonly changes: number;
  readonly rounds: readonly RoundFigures[];
}

export interface RunFigures extends LoadFigures {
  readonly spec: RunSpec;
  readonly events: readonly EventFigures[];
}

const CHILD = fileURLToPath(new URL('compile-child.js', import.meta.url));

/** A round in which others took the core from more events than this is made again, once. */
const MOST_PREEMPTED = 0.1;

interface Side {
  readonly spec: RunSpec;
  readonly child: ChildProcess;
  readonly started: Started;
}

/** All sizes of one shape. Throws if a process fails. */
export async function takeTurns(
  specs: readonly RunSpec[],
  rounds: number,
  heapMb: number,
): Promise<readonly RunFigures[]> {
  const sides: Side[] = [];
  // One after the other: how long this takes is measured too.
  for (const spec of specs) {
    const execArgv = ['--expose-gc', `--max-old-space-size=${heapMb}`];
    const child = fork(CHILD, [JSON.stringify(spec)], { execArgv });
    sides.push({ spec, child, started: await heard<Started>(child, spec) });
  }
  const workloads = sides[0]?.started.workloads ?? [];
  const figures = sides.map(() => workloads.map((): RoundFigures[] => []));
  for (const workload of workloads.keys()) {
    for (let round = 0; round < rounds; round++) {
      for (const [i, side] of sides.entries()) {
        figures[i]?.[workload]?.push(await calmRound(side, { workload }));
      }
    }
  }
  for (const { child, spec } of sides) await ended(child, spec);
  return sides.map(({ spec, started }, i) => {
    const events = workloads.map((name, workload) => summary(name, figures[i]?.[workload] ?? []));
    return { spec, ...started.load, events };
  });
}

async function calmRound(side: Side, ask: Ask): Promise<RoundFigures> {
  const one = await asked(side, ask);
  if (one.preempted <= one.count * MOST_PREEMPTED) return one;
  const other = await asked(side, ask);
  return other.preempted < one.preempted ? other : one;
}

function asked({ child, spec }: Side, ask: Ask): Promise<RoundFigures> {
  child.send(ask);
  return heard<RoundFigures>(child, spec);
}

function heard<T>(child: ChildProcess, spec: RunSpec): Promise<T> {
  return new Promise((resolve, reject) => {
    const failed = (code: number | null): void => {
      reject(new Error(`${JSON.stringify(spec)}: ended with ${code}`));
    };
    child.once('exit', failed);
    child.once('message', (message) => {
      child.off('exit', failed);
      resolve(message as T);
    });
  });
}

async function ended(child: ChildProcess, spec: RunSpec): Promise<void> {
  const exit = once(child, 'exit');
  child.send({ workload: null } satisfies Ask);
  const [code] = await exit;
  if (code !== 0) throw new Error(`${JSON.stringify(spec)}: ended with ${String(code)}`);
}

function summary(name: string, rounds: readonly RoundFigures[]): EventFigures {
  const all = (figure: keyof RoundFigures): number[] =>
    rounds.map((round) => round[figure]).sort((a, b) => a - b);
  const median = (figure: keyof RoundFigures): number => all(figure)[rounds.length >> 1] ?? 0;
  const lowest = (figure: keyof RoundFigures): number => all(figure)[0] ?? 0;
  const sum = (figure: keyof RoundFigures): number => all(figure).reduce((a, b) => a + b, 0);
  return {
    name,
    p50: median('p50'),
    p99: median('p99'),
    max: all('max').at(-1) ?? 0,
    lowest: { p50: lowest('p50'), p99: lowest('p99') },
    count: sum('count'),
    preempted: sum('preempted'),
    ahead: median('ahead'),
    effective: sum('effective') / rounds.length,
    changes: sum('changes') / rounds.length,
    rounds,
  };
}
