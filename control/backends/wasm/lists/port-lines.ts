/** Rules of one pair of prefixes as lines: four to a line, and, where they are many, most of them as a port set. */
import * as L from '../../../../dataplane-as/layout/index.js';
import * as A from '../../../../dataplane-as/lists/layout.js';
import type { ListRule, Range } from './rule.js';
import type { Scratch } from './scratch.js';

/** A rule as its lane of a line says it. */
export interface Lane {
  readonly number: number;
  /** Source ports, destination ports, protocols: lowest | complement of the highest << 16. */
  readonly ranges: readonly [number, number, number];
}

const LINE = A.LINE_SIZE / 4;
const LAST_KEY = 0xffffff;

/** Words of a rule in `packRanges`. */
export const RANGES = 3;

/** The ranges of rules as lanes say them, RANGES words each. */
export function packRanges(rules: readonly ListRule[], scratch: Scratch): Uint32Array {
  const words = scratch.words(rules.length * RANGES);
  for (let i = 0; i < rules.length; i++) {
    const { srcPorts, dstPorts, protocols } = rules[i] as ListRule;
    words[i * RANGES] = rangeOf(srcPorts);
    words[i * RANGES + 1] = rangeOf(dstPorts);
    words[i * RANGES + 2] = rangeOf(protocols);
  }
  return words;
}

export function laneOf({ srcPorts, dstPorts, protocols }: ListRule, number: number): Lane {
  return { number, ranges: [rangeOf(srcPorts), rangeOf(dstPorts), rangeOf(protocols)] };
}

function rangeOf([lowest, highest]: Range): number {
  return (lowest | (~highest << 16)) >>> 0;
}

/** The keys (protocol << 16 | destination port) that a rule is for, if it is for nothing more special. */
export function keysOf({ ranges: [srcPorts, dstPorts, protocols] }: Lane): readonly [number, number] | null {
  const all = 0;
  if (srcPorts !== all) return null;
  const protocol = protocols & 0xffff;
  const last = ~protocols >>> 16;
  if (protocol === last) {
    const base = protocol << 16;
    return [base | (dstPorts & 0xffff), base | (~dstPorts >>> 16)];
  }
  return protocol === 0 && last === 255 && dstPorts === all ? [0, LAST_KEY] : null;
}

/** Writes rules of a list that is being built into lines. `ranges`: what the rules are for (packRanges); they are numbered in steps of `gap`. */
export class LineWriter {
  readonly #halves: Uint16Array;

  constructor(
    private readonly words: Uint32Array,
    private readonly ranges: Uint32Array,
    private readonly gap: number,
  ) {
    this.#halves = new Uint16Array(words.buffer);
  }

  /** Writes the lines of the rules whose indexes are `rules` from `from` to before `to`, from word `at` on. */
  put(at: number, rules: Uint32Array, from: number, to: number): void {
    const { words, ranges, gap } = this;
    const halves = this.#halves;
    const end = at + Math.ceil((to - from) / A.LINE_RULES) * LINE;
    for (let i = at; i < end; i++) words[i] = A.NO_RULE;
    for (let i = from; i < to; i++) {
      const rule = rules[i] ?? 0;
      const lane = (i - from) % A.LINE_RULES;
      const line = at + ((i - from - lane) / A.LINE_RULES) * LINE;
      for (let dimension = 0; dimension < RANGES; dimension++) {
        const range = ranges[rule * RANGES + dimension] ?? 0;
        const half = line * 2 + dimension * 8 + lane;
        halves[half] = range;
        halves[half + 4] = range >>> 16;
      }
      words[line + A.LINE_NUMBERS / 4 + lane] = (rule + 1) * gap;
    }
  }
}

/** Lines of rules; an unused lane holds what no packet meets. */
export function ruleLines(lanes: readonly Lane[]): Uint32Array {
  const count = Math.ceil(lanes.length / A.LINE_RULES);
  const words = new Uint32Array(count * LINE).fill(A.NO_RULE);
  const halves = new Uint16Array(words.buffer);
  for (const [i, { number, ranges }] of lanes.entries()) {
    const line = Math.floor(i / A.LINE_RULES) * LINE;
    const lane = i % A.LINE_RULES;
    for (const [dimension, range] of ranges.entries()) {
      halves[line * 2 + dimension * 8 + lane] = range;
      halves[line * 2 + dimension * 8 + 4 + lane] = range >>> 16;
    }
    words[line + A.LINE_NUMBERS / 4 + lane] = number;
  }
  return words;
}

/** The rules that `words`, lines as ruleLines() makes them, hold. */
export function lanesIn(words: Uint32Array): Lane[] {
  const lanes: Lane[] = [];
  for (let i = 0; i < (words.length / LINE) * A.LINE_RULES; i++) {
    const line = Math.floor(i / A.LINE_RULES) * LINE;
    const lane = i % A.LINE_RULES;
    const number = words[line + A.LINE_NUMBERS / 4 + lane] ?? A.NO_RULE;
    if (number === A.NO_RULE) break;
    const half = (at: number) => ((words[line + (at >> 1)] ?? 0) >>> (16 * (at & 1))) & 0xffff;
    const range = (dimension: number) =>
      (half(dimension * 8 + lane) | (half(dimension * 8 + 4 + lane) << 16)) >>> 0;
    lanes.push({ number, ranges: [range(0), range(1), range(2)] });
  }
  return lanes;
}

/** The keys that a rule is for, and its number. */
type KeyedRule = readonly [keys: readonly [number, number], number: number];

/** A port set (PORTSET_SIZE in dataplane-as/layout) whose verdict is the number of the first rule. */
export function portSetLines(rules: readonly KeyedRule[]): Uint32Array {
  const cuts = new Set<number>([0]);
  for (const [[from, to]] of rules) {
    cuts.add(from);
    if (to < LAST_KEY) cuts.add(to + 1);
  }
  const starts = [...cuts].sort((a, b) => a - b);
  const firsts = firstOver(starts, rules);
  const intervals: { from: number; to: number; number: number }[] = [];
  for (const [i, from] of starts.entries()) {
    const to = (starts[i + 1] ?? LAST_KEY + 1) - 1;
    const number = rules[firsts[i] ?? 0]?.[1];
    if (number === undefined) continue;
    const last = intervals.at(-1);
    if (last?.number === number && last.to === from - 1) last.to = to;
    else intervals.push({ from, to, number });
  }
  const count = Math.max(1, Math.ceil(intervals.length / L.PORTSET_INTERVALS));
  const words = new Uint32Array(count * LINE);
  for (let i = 0; i < count * L.PORTSET_INTERVALS; i++) {
    const at = Math.floor(i / L.PORTSET_INTERVALS) * LINE;
    const lane = i % L.PORTSET_INTERVALS;
    const interval = intervals[i];
    words[at + L.PORTSET_FROM / 4 + lane] = interval?.from ?? L.PORTSET_NO_FROM;
    words[at + L.PORTSET_TO / 4 + lane] = interval?.to ?? 0;
    words[at + L.PORTSET_VERDICT / 4 + lane] = interval?.number ?? A.NO_RULE;
    if (lane === 0) words[at + L.PORTSET_VERDICT / 4 + L.PORTSET_INTERVALS] = A.NO_RULE;
  }
  words[L.PORTSET_LINES / 4] = count;
  return words;
}

/** For each stretch that begins at one of `starts`, the first of the rules that holds there; as many as there are rules: none. */
function firstOver(starts: readonly number[], rules: readonly KeyedRule[]): Uint32Array {
  const firsts = new Uint32Array(starts.length).fill(rules.length);
  const places = new Map(starts.map((start, i) => [start, i]));
  // Behind a stretch that is taken: where to look for the next one that is not.
  const next = Uint32Array.from({ length: starts.length + 1 }, (_, i) => i);
  const free = (at: number): number => {
    let found = at;
    while (next[found] !== found) found = next[found] ?? 0;
    for (let i = at; i !== found; ) {
      const behind = next[i] ?? 0;
      next[i] = found;
      i = behind;
    }
    return found;
  };
  for (const [rule, [[from, to]]] of rules.entries()) {
    const end = places.get(to + 1) ?? starts.length;
    for (let i = free(places.get(from) ?? 0); i < end; i = free(i)) {
      firsts[i] = rule;
      next[i] = i + 1;
    }
  }
  return firsts;
}
