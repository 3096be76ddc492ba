/** The pipeline cut after each of its stages, for the benchmark: compiled apart from the pipeline, over the same memory. */
import { acknowledge, begin } from '../context';
import { tally } from '../counters';
import { forward } from '../forward';
import { hash, lookup, resolve } from '../lookup';
import { output } from '../output';
import { parse } from '../parse';
import { chooseTraced } from '../trace';
import { feed } from './feed';

export { init } from '../index';
export { feed, feedReset, feedSeries } from './feed';

/** `batches` of `n` packets through the feed and the first `last` stages (parse, hash, lookup, forward, output, tally). */
export function run(
  batches: u32,
  n: u32,
  last: u32,
  source: usize,
  flows: u32,
  frames: usize,
  frameSize: u32,
  length: u32,
  port: u32,
  now: u32,
): void {
  for (let i: u32 = 0; i < batches; i++) {
    feed(source, flows, n, frames, frameSize, length, port);
    stages(n, last, now);
  }
}

function stages(n: i32, last: u32, now: u32): void {
  if (last < 1) return;
  begin(now);
  parse(n);
  chooseTraced(n);
  if (last < 2) return;
  hash(n);
  if (last < 3) return;
  if (lookup(n)) resolve(n);
  if (last < 4) return;
  forward(n);
  if (last < 5) return;
  output(n);
  if (last < 6) return;
  tally(n);
  acknowledge();
}
