/**
 * A process for one run of bench/compile.ts, so that its memory can be told. It says what loading took, and then does a round of one
 * kind of events whenever it is asked to, so that runs can take turns.
 */
import type { Change } from '../control/ruleset/types.js';
import { type Happening, type Workload, workloadsOf } from './compile-events.js';
import {
  anticipated,
  collect,
  collectYoung,
  fromScratch,
  type LoadFigures,
  load,
  type RunSpec,
} from './compile-run.js';

/** One round. Times are in milliseconds. */
export interface RoundFigures {
  /**
   * Events measured, and those left out because another process took the core meanwhile. None is left out where that happened to
   * more than one in ten: it is the long ones it happens to.
   */
  readonly count: number;
  readonly preempted: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Of `anticipate` for each event, before the next one: time in which an agent has nothing else to do. */
  readonly ahead: number;
  /** Share of the events that changed the ruleset, and changes for each of those. */
  readonly effective: number;
  readonly changes: number;
}

/** Asked: which kind of events, by its place in `Started.workloads`, or null to end. */
export interface Ask {
  readonly workload: number | null;
}

export interface Started {
  readonly load: LoadFigures;
  readonly workloads: readonly string[];
}

/** Events whose objects are made before the first of them happens: garbage collection is of what the events leave, not of what reading leaves. */
const AT_ONCE = 16;
/** Events before each round that nobody measures. */
const WARM_UP = 100;

const spec = JSON.parse(process.argv[2] ?? '') as RunSpec;
const loaded = load(spec);
const { compiler } = loaded;
const workloads = workloadsOf(loaded);
/** Events made so far, by workload. */
const made = workloads.map(() => 0);

/** The next `count`, each batch made before the first of it happens. */
function* happenings(workload: Workload, at: number, count: number): Generator<Happening> {
  const first = made[at] ?? 0;
  made[at] = first + count;
  for (let k = first; k < first + count; k += AT_ONCE) {
    const size = Math.min(AT_ONCE, first + count - k);
    const batch = Array.from({ length: size }, (_, i) => workload.make(k + i));
    collectYoung();
    yield* batch;
  }
}

function round(workload: Workload, at: number): RoundFigures {
  const count = Math.min(spec.events, workload.most);
  const warmUp = Math.min(WARM_UP, count);
  const undisturbed: number[] = [];
  const all: number[] = [];
  let ahead = 0;
  let effective = 0;
  let changes = 0;
  if (made[at] === 0) collect();
  let i = 0;
  for (const happening of happenings(workload, at, count + warmUp)) {
    const idle = anticipated(compiler).ahead;
    const switches = process.resourceUsage().involuntaryContextSwitches;
    const start = process.hrtime.bigint();
    const result: readonly Change[] = compiler.apply(happening.events, happening.local);
    const time = Number(process.hrtime.bigint() - start) / 1e6;
    const disturbed = process.resourceUsage().involuntaryContextSwitches !== switches;
    if (i++ < warmUp) continue;
    all.push(time);
    ahead += idle;
    if (!disturbed) undisturbed.push(time);
    if (result.length > 0) effective++;
    changes += result.length;
  }
  const times = undisturbed.length < all.length * 0.9 ? all : undisturbed;
  return {
    count: times.length,
    preempted: all.length - undisturbed.length,
    ...quantiles(times),
    ahead: ahead / count,
    effective: effective / count,
    changes: changes / Math.max(1, effective),
  };
}

/** Sorts what it is given. */
function quantiles(times: number[]): Pick<RoundFigures, 'p50' | 'p99' | 'max'> {
  times.sort((a, b) => a - b);
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

const send = (message: Started | RoundFigures): void => void process.send?.(message);

process.on('message', ({ workload: at }: Ask) => {
  const workload = workloads[at ?? -1];
  if (at !== null && workload !== undefined) {
    send(round(workload, at));
    return;
  }
  // After all of it, it still is what a compile from scratch makes.
  fromScratch(compiler, 1);
  process.disconnect();
});
send({ load: loaded.figures, workloads: workloads.map(({ name }) => name) });
