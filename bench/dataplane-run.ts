/** Rounds of a scenario, both sides in turns. */
import * as L from '../dataplane-as/layout/index.js';
import { LAST, type Sides, STAGES } from './dataplane-sides.js';
import { type Figures, figures } from './statistics.js';

export interface Result {
  readonly scenario: string;
  readonly flows: number;
  /** Nanoseconds a packet without the feed. */
  readonly wasm: Figures;
  readonly native: Figures;
  /** C's time over ours, of the medians and of the lower quartiles: above 1 we are faster. */
  readonly ratio: { readonly median: number; readonly low: number };
  /** Rounds that count, and those in which another process took the core from either side. */
  readonly rounds: number;
  readonly disturbed: number;
  /** What `ratio.low` is the median of, where memory was taken several times. */
  readonly placements?: readonly number[];
}

/** Of each round: ours, theirs. */
interface Rounds {
  readonly times: readonly (readonly number[])[];
  readonly disturbed: number;
}

/** Batches of a pass: about a millisecond, so that most passes are not interrupted and what a turn of the other side left is soon gone. */
const BATCHES = 400;

/**
 * So many rounds in which no other process took the core from either side. Disturbed ones are made again, up to twice as many
 * in all; where there are hardly any others they count too. Who comes first changes from round to round.
 */
async function undisturbed(
  sides: Sides,
  rounds: number,
  round: (oursFirst: boolean) => Promise<readonly number[]>,
): Promise<Rounds> {
  const kept: (readonly number[])[] = [];
  const others: (readonly number[])[] = [];
  for (let i = 0; i < 2 * rounds && kept.length < rounds; i++) {
    sides.disturbed = false;
    const times = await round(i % 2 === 0);
    (sides.disturbed ? others : kept).push(times);
  }
  const times = kept.length * 4 < rounds ? [...kept, ...others] : kept;
  return { times, disturbed: others.length };
}

/** Both sides' time for one thing, in either order: ours, theirs. */
async function turns(
  oursFirst: boolean,
  ours: () => number,
  theirs: () => Promise<number>,
): Promise<readonly [number, number]> {
  if (oursFirst) return [ours(), await theirs()];
  const time = await theirs();
  return [ours(), time];
}

const column = ({ times }: Rounds, index: number): number[] =>
  times.map((round) => round[index] ?? Number.NaN);

function result(sides: Sides, scenario: string, rounds: Rounds, wasm: Figures, native: Figures): Result {
  const ratio = { median: native.median / wasm.median, low: native.low / wasm.low };
  const { times, disturbed } = rounds;
  return { scenario, flows: sides.flows, wasm, native, ratio, rounds: times.length, disturbed };
}

/** Established connections. */
export async function established(sides: Sides, rounds: number): Promise<Result> {
  const n = BATCHES;
  const all = await undisturbed(sides, rounds, async (oursFirst) => [
    ...(await turns(
      oursFirst,
      () => sides.wasm(0, n),
      () => sides.native(0, n),
    )),
    ...(await turns(
      oursFirst,
      () => sides.wasm(LAST, n),
      () => sides.native(LAST, n),
    )),
  ]);
  const [feed, nativeFeed] = [figures(column(all, 0)).low, figures(column(all, 1)).low];
  return result(
    sides,
    sides.scenario.name,
    all,
    figures(column(all, 2).map((ns) => ns - feed)),
    figures(column(all, 3).map((ns) => ns - nativeFeed)),
  );
}

/** The same measured several times, with new memory each time: medians, but for the lowest and the highest round. */
export function overPlacements(results: readonly Result[]): Result {
  const first = results[0];
  if (first === undefined) throw new Error('nothing was measured');
  if (results.length === 1) return first;
  const middle = (of: (result: Result) => number): number => figures(results.map(of)).median;
  const side = (of: (result: Result) => Figures): Figures => ({
    min: Math.min(...results.map((result) => of(result).min)),
    low: middle((result) => of(result).low),
    median: middle((result) => of(result).median),
    max: Math.max(...results.map((result) => of(result).max)),
  });
  const sum = (of: (result: Result) => number): number => results.reduce((n, result) => n + of(result), 0);
  return {
    ...first,
    wasm: side(({ wasm }) => wasm),
    native: side(({ native }) => native),
    ratio: { median: middle(({ ratio }) => ratio.median), low: middle(({ ratio }) => ratio.low) },
    rounds: sum(({ rounds }) => rounds),
    disturbed: sum(({ disturbed }) => disturbed),
    placements: results.map(({ ratio }) => ratio.low),
  };
}

/** Batches of a stage alone, which is a tenth of the pipeline. */
const STAGE_BATCHES = 5000;

/**
 * Each stage by itself over vectors that the stages before it left, in one call of many batches on both sides, less what it takes to make
 * these vectors ready, right before or after it.
 */
export async function stages(sides: Sides, rounds: number): Promise<Result[]> {
  const results: Result[] = [];
  for (const [stage, name] of STAGES.entries()) {
    if (stage === 0) continue;
    await sides.keep(stage);
    const ours = (works: boolean) => sides.wasmAgain(stage, works, STAGE_BATCHES);
    const theirs = (works: boolean) => sides.nativeAgain(stage, works, STAGE_BATCHES);
    const all = await undisturbed(sides, rounds, (oursFirst) =>
      turns(
        oursFirst,
        () => ours(true) - ours(false),
        async () => (await theirs(true)) - (await theirs(false)),
      ),
    );
    results.push(result(sides, `stage ${name}`, all, figures(column(all, 0)), figures(column(all, 1))));
  }
  return results;
}

/** What a pass costs that has no packets, for each of the packets that it might have had: in WebAssembly, entering from JavaScript. */
export async function empty(sides: Sides, rounds: number): Promise<Result> {
  const all = await undisturbed(sides, rounds, (oursFirst) =>
    turns(
      oursFirst,
      () => sides.wasmEmpty(BATCHES),
      () => sides.nativeEmpty(BATCHES),
    ),
  );
  return result(sides, 'a pass without packets', all, figures(column(all, 0)), figures(column(all, 1)));
}

/** A new connection for every packet; the tables are emptied before each pass. The feed is included. */
export async function opening(sides: Sides, rounds: number): Promise<Result> {
  const n = Math.floor(sides.flows / L.BATCH);
  // Short passes are made several times, after one that nobody counts: what a side needs is in its cache by then, as in a long one.
  const passes = Math.max(1, Math.min(8, Math.ceil(20_000 / sides.flows)));
  sides.prepareOpening();
  const all = await undisturbed(sides, rounds, (oursFirst) =>
    turns(
      oursFirst,
      () => {
        const before = sides.node.sessionStat(L.SS_CREATED);
        const ours = sides.wasmOpening(passes, n);
        const opened = sides.node.sessionStat(L.SS_CREATED) - before;
        if (opened < (passes + 1) * n * L.BATCH)
          throw new Error(`${opened} connections of ${(passes + 1) * n * L.BATCH} were opened`);
        return ours;
      },
      () => sides.nativeOpening(passes, n),
    ),
  );
  const name = `${sides.scenario.name}, new connections`;
  return result(sides, name, all, figures(column(all, 0)), figures(column(all, 1)));
}
