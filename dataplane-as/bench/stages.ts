/** Each stage of the pipeline alone, for the benchmark: compiled apart from the pipeline, over the same memory. */
import { acknowledge, begin } from '../context';
import { tally } from '../counters';
import { forward } from '../forward';
import { V_HANDLE, V_L3, V_SESSION, VECTOR_BASE, VECTOR_SHIFT, VECTOR_SIZE } from '../layout';
import { hash, lookup, resolve } from '../lookup';
import { output } from '../output';
import { parse } from '../parse';
import { chooseTraced } from '../trace';
import { feed } from './feed';

export { init } from '../index';
export { feed, feedReset, feedSeries } from './feed';

const PARSE: u32 = 1;
const HASH: u32 = 2;
const LOOKUP: u32 = 3;
const FORWARD: u32 = 4;
const OUTPUT: u32 = 5;
const TALLY: u32 = 6;

/** How often a stage works on one vector before it gets the next: so that what making it ready takes is little beside it. */
const REPEATS: u32 = 8;

/**
 * What stage `before` finds: `batches` of `n` packets go through the feed and the stages before it, and the vector that each batch then
 * has is copied to `kept`, one behind the other. The word with TTL, protocol and checksum goes along as V_HANDLE.
 */
export function keep(
  batches: u32,
  n: u32,
  before: u32,
  source: usize,
  flows: u32,
  frames: usize,
  frameSize: u32,
  length: u32,
  port: u32,
  now: u32,
  kept: usize,
): void {
  const end = <usize>VECTOR_BASE + ((<usize>n) << VECTOR_SHIFT);
  for (let i: u32 = 0; i < batches; i++) {
    feed(source, flows, n, frames, frameSize, length, port);
    stagesTo(n, before - 1, now);
    for (let v: usize = VECTOR_BASE; v < end; v += VECTOR_SIZE, kept += VECTOR_SIZE) {
      if (before >= FORWARD) store<u32>(v, load<u32>(<usize>load<u32>(v, V_L3), 8), V_HANDLE);
      memory.copy(kept, v, VECTOR_SIZE);
    }
  }
}

/**
 * Stage `last` alone, REPEATS times over each of `count` vectors of `n` packets at `kept`, `rounds` times over all of them. It finds what the
 * stages before it left: the vector, its session lines in the first cache, and each time anew what it changes and takes from there. Without
 * `works` all that is made ready only.
 */
export function again(rounds: u32, last: u32, works: bool, kept: usize, count: u32, n: u32, now: u32): void {
  begin(now);
  const size = (<usize>n) << VECTOR_SHIFT;
  const behind = kept + count * size;
  for (let round: u32 = 0; round < rounds; round++) {
    for (let from = kept; from < behind; from += size) {
      memory.copy(VECTOR_BASE, from, size);
      if (last >= LOOKUP) touchLines(size);
      for (let i: u32 = 0; i < REPEATS; i++) {
        if (last === LOOKUP) restoreHomes(from, size);
        else if (last === FORWARD) restoreWords(size);
        else if (last === OUTPUT) restoreFrames(from, size);
        if (works) stage(n, last);
      }
    }
  }
}

/** Zeroes the bytes from `from` to `to`, by memset() as in C: a table is then as near to either side. */
export function clear(from: usize, to: usize): void {
  memory.fill(from, 0, to - from);
}

/** Only so that the touching loads are not dropped by the optimiser. */
export let touched: u32 = 0;

function touchLines(size: usize): void {
  let sum: u32 = 0;
  for (let i: usize = 0; i < size; i += VECTOR_SIZE) {
    sum += load<u32>(<usize>load<u32>(i, VECTOR_BASE + V_SESSION));
  }
  touched = sum;
}

/** hash() lets V_SESSION lead to the home line, lookup() to the one that it found. */
function restoreHomes(from: usize, size: usize): void {
  for (let i: usize = 0; i < size; i += VECTOR_SIZE) {
    store<u32>(i, load<u32>(from + i, V_SESSION), VECTOR_BASE + V_SESSION);
  }
}

/** TTL and checksum, which forward() changes. */
function restoreWords(size: usize): void {
  for (let i: usize = 0; i < size; i += VECTOR_SIZE) {
    store<u32>(<usize>load<u32>(i, VECTOR_BASE + V_L3), load<u32>(i, VECTOR_BASE + V_HANDLE), 8);
  }
}

/** Where frames begin and how long they are, their ports and outcomes: the half that output() changes. */
function restoreFrames(from: usize, size: usize): void {
  for (let i: usize = 0; i < size; i += VECTOR_SIZE) {
    v128.store(i, v128.load(from + i), VECTOR_BASE);
    v128.store(i, v128.load(from + i, 16), VECTOR_BASE + 16);
  }
}

function stage(n: i32, which: u32): void {
  if (which === PARSE) parse(n);
  else if (which === HASH) hash(n);
  else if (which === LOOKUP) lookup(n);
  else if (which === FORWARD) forward(n);
  else if (which === OUTPUT) output(n);
  else if (which === TALLY) tally(n);
}

function stagesTo(n: i32, last: u32, now: u32): void {
  if (last < PARSE) return;
  begin(now);
  parse(n);
  chooseTraced(n);
  if (last < HASH) return;
  hash(n);
  if (last < LOOKUP) return;
  if (lookup(n)) resolve(n);
  if (last < FORWARD) return;
  forward(n);
  if (last < OUTPUT) return;
  output(n);
  if (last < TALLY) return;
  tally(n);
  acknowledge();
}
