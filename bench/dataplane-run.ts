/** Rounds of a scenario, both sides in turns. */
import * as L from '../dataplane-as/layout.js';
import { BATCH, type Sides, STAGES } from './dataplane-sides.js';
import { type Figures, figures, paired } from './statistics.js';

const LAST = STAGES.length - 1;

export interface Result {
  readonly scenario: string;
  readonly flows: number;
  /** Nanoseconds a packet without the feed. */
  readonly wasm: Figures;
  readonly native: Figures;
  /** C's time over ours in the same round: above 1 we are faster. */
  readonly ratio: Figures;
}

/** Batches of a round: about a millisecond, so that most rounds are not interrupted, and every flow comes by. */
function batches(sides: Sides): number {
  return Math.max(100, Math.min(400, Math.ceil(sides.flows / BATCH)));
}

function result(sides: Sides, name: string, wasm: number[], native: number[]): Result {
  const ratio = figures(paired(native, wasm, (c, w) => c / w));
  // A round that an interrupt met says nothing: the typical ratio is that of the typical times.
  const [ours, theirs] = [figures(wasm), figures(native)];
  return {
    scenario: name,
    flows: sides.flows,
    wasm: ours,
    native: theirs,
    ratio: { ...ratio, median: theirs.median / ours.median },
  };
}

/**
 * So many rounds in which no other process took the core from either side. Disturbed ones are made again, up to twice as many
 * in all; where there are hardly any others they count too.
 */
async function undisturbed(sides: Sides, rounds: number, round: () => Promise<readonly number[]>) {
  const kept: (readonly number[])[] = [];
  const others: (readonly number[])[] = [];
  for (let i = 0; i < 2 * rounds && kept.length < rounds; i++) {
    sides.disturbed = false;
    const times = await round();
    (sides.disturbed ? others : kept).push(times);
  }
  const all = kept.length * 4 < rounds ? [...kept, ...others] : kept;
  return (index: number): number[] => all.map((times) => times[index] ?? Number.NaN);
}

/** Established connections. */
export async function established(sides: Sides, rounds: number): Promise<Result> {
  const n = batches(sides);
  const times = await undisturbed(sides, rounds, async () => [
    sides.wasm(0, n),
    await sides.native(0, n),
    sides.wasm(LAST, n),
    await sides.native(LAST, n),
  ]);
  const [feed, nativeFeed] = [figures(times(0)).median, figures(times(1)).median];
  return result(
    sides,
    sides.scenario.name,
    times(2).map((ns) => ns - feed),
    times(3).map((ns) => ns - nativeFeed),
  );
}

/** Each stage: the time up to it less the time up to the one before. */
export async function stages(sides: Sides, rounds: number): Promise<Result[]> {
  const n = batches(sides);
  const wasm: number[][] = [];
  const native: number[][] = [];
  for (let last = 0; last <= LAST; last++) {
    const times = await undisturbed(sides, rounds, async () => [
      sides.wasm(last, n),
      await sides.native(last, n),
    ]);
    wasm.push(times(0));
    native.push(times(1));
  }
  return STAGES.slice(1).map((stage, i) => {
    const before = [figures(wasm[i]!).median, figures(native[i]!).median] as const;
    return result(
      sides,
      `stage ${stage}`,
      wasm[i + 1]!.map((ns) => ns - before[0]),
      native[i + 1]!.map((ns) => ns - before[1]),
    );
  });
}

/** A new connection for every packet; the tables are emptied before each round. The feed is included. */
export async function opening(sides: Sides, rounds: number): Promise<Result> {
  const n = Math.floor(sides.flows / BATCH);
  const times = await undisturbed(sides, rounds, async () => {
    await sides.forget();
    const before = sides.node.sessionStat(L.SS_CREATED);
    const ours = sides.wasm(LAST, n);
    const opened = sides.node.sessionStat(L.SS_CREATED) - before;
    if (opened < n * BATCH) throw new Error(`${opened} connections of ${n * BATCH} were opened`);
    return [ours, await sides.native(LAST, n)];
  });
  return result(sides, `${sides.scenario.name}, new connections`, times(0), times(1));
}
