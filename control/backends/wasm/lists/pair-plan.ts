/** Where the pairs of prefixes of a list lie that is being built: a cell for each, and its rules one behind the other. */
import { HASH_C } from '../../../../dataplane-as/layout/index.js';
import * as A from '../../../../dataplane-as/lists/layout.js';
import type { Scratch } from './scratch.js';

/** How full the table is at most when it is made, if each rule has a pair of its own. */
const FULLEST = 0.8;

/** Which rule belongs to which pair of prefixes, by their numbers; of equal length, in the rules' order. */
export interface Borne {
  readonly rule: Uint32Array;
  readonly src: Uint32Array;
  readonly dst: Uint32Array;
}

export interface PairPlan {
  /** Buckets of the table. */
  readonly log2: number;
  /** Key of each cell, 0 = empty. */
  readonly keys: Uint32Array;
  /** Buckets that are passed over. */
  readonly passed: Uint8Array;
  readonly count: number;
  /** By pair: its cell, and where its rules begin in `rules`, with one more that says where the last one's end. */
  readonly cells: Uint32Array;
  readonly starts: Uint32Array;
  /** Indexes of rules, pair by pair, in order. */
  readonly rules: Uint32Array;
}

export function homeOf(src: number, dst: number, log2: number): number {
  return (src ^ (Math.imul(dst, HASH_C) >>> (32 - log2))) & (2 ** log2 - 1);
}

/** Key of a pair in its home. */
export function homeKeyOf(src: number, dst: number, log2: number): number {
  return dst | ((src >>> log2) << A.PAIR_SOURCE_SHIFT);
}

/** Gives each pair a cell. The plan lies in the scratch memory. */
export function planPairs({ rule, src, dst }: Borne, scratch: Scratch): PairPlan {
  const total = rule.length;
  const pairs = scratch.words(total);
  const cells = scratch.words(total);
  const starts = scratch.words(total + 1);
  for (let log2 = Math.max(2, Math.ceil(Math.log2(total / FULLEST / A.BUCKET_PAIRS))); ; log2++) {
    const table = { log2, keys: scratch.words(A.BUCKET_PAIRS << log2), passed: scratch.bytes(1 << log2) };
    const pairAt = scratch.words(A.BUCKET_PAIRS << log2);
    starts.fill(0);
    let count = 0;
    let i = 0;
    for (; i < total; i++) {
      const cell = cellFor(table, src[i] ?? 0, dst[i] ?? 0);
      if (cell < 0) break;
      // One more than the pair's number; 0 where the cell was empty.
      let pair = pairAt[cell] ?? 0;
      if (pair === 0) {
        cells[count++] = cell;
        pair = count;
        pairAt[cell] = pair;
      }
      pairs[i] = pair - 1;
      starts[pair] = (starts[pair] ?? 0) + 1;
    }
    if (i === total) return { ...table, count, cells, ...byPair(rule, pairs, starts, count, scratch) };
  }
}

/** The cell of a pair, which is empty if it is new; -1 = it would be too far from its home. */
function cellFor(table: Pick<PairPlan, 'log2' | 'keys' | 'passed'>, src: number, dst: number): number {
  const { log2, keys, passed } = table;
  const mask = 2 ** log2 - 1;
  const home = homeOf(src, dst, log2);
  let key = homeKeyOf(src, dst, log2);
  for (let away = 0; away <= A.PAIR_MOST_AWAY; away++) {
    const first = ((home + away) & mask) * A.BUCKET_PAIRS;
    for (let cell = first; cell < first + A.BUCKET_PAIRS; cell++) {
      const found = keys[cell] ?? 0;
      if (found === key) return cell;
      if (found !== 0) continue;
      keys[cell] = key;
      return cell;
    }
    passed[first / A.BUCKET_PAIRS] = 1;
    key = (key + (1 << A.PAIR_AWAY_SHIFT)) >>> 0;
  }
  return -1;
}

/** Sorts rules by their pairs; `counts` holds those of pair n at n + 1, and becomes the starts. */
function byPair(
  rule: Uint32Array,
  pairs: Uint32Array,
  counts: Uint32Array,
  count: number,
  scratch: Scratch,
): Pick<PairPlan, 'starts' | 'rules'> {
  for (let pair = 0; pair < count; pair++) counts[pair + 1] = (counts[pair + 1] ?? 0) + (counts[pair] ?? 0);
  const next = scratch.words(count);
  for (let pair = 0; pair < count; pair++) next[pair] = counts[pair] ?? 0;
  const rules = scratch.words(rule.length);
  for (let i = 0; i < rule.length; i++) {
    const pair = pairs[i] ?? 0;
    const at = next[pair] ?? 0;
    rules[at] = rule[i] ?? 0;
    next[pair] = at + 1;
  }
  return { starts: counts, rules };
}
