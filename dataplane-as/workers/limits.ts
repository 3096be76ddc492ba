// biome-ignore-all lint/correctness/noPrecisionLoss: these are 64-bit integers, not JavaScript numbers.
/**
 * The token buckets of police.ts where several workers take from one: a bucket is one word, the time at which it was empty, moved by
 * compare and swap. What it holds is what its rate gave since then, up to its burst; a time in the future is a debt.
 */
import { now } from '../context';
import { MAX_WORKERS, SB_FILLED, SB_RATE, SH_BUCKETS } from '../layout';
import { shared } from './lock';

/** Milliseconds << 32, the unit of the word: it wraps where the clock does. */
const UNIT: f64 = 4294967296;
/** Three days: longer than any bucket takes to fill. */
const LONGEST: f64 = 268435456;
/** Further in debt no bucket can be: a packet of each worker, as large as packets are. A word beyond it is of weeks ago. */
const DEEPEST: u32 = MAX_WORKERS << 16;

function timeOf(bytes: u32, rate: u32): u64 {
  return <u64>(min<f64>((<f64>bytes * 1000.0) / <f64>rate, LONGEST) * UNIT);
}

/** Takes `bytes` out of the bucket at `place`, as passes() of police.ts does. `rate` is in bytes a second, not 0. */
export function takeShared(place: usize, rate: u32, burst: u32, bytes: u32): bool {
  const bucket = shared + SH_BUCKETS + place;
  const clock = (<u64>now) << 32;
  const full = clock - timeOf(burst, rate);
  const before = atomic.load<u32>(bucket, SB_RATE);
  if (before !== rate && atomic.cmpxchg<u32>(bucket, before, rate, SB_RATE) === before)
    atomic.store<u64>(bucket, full, SB_FILLED);
  const debt = timeOf(DEEPEST, rate);
  let word: u64 = 0;
  let empty: u64 = 0;
  do {
    word = atomic.load<u64>(bucket, SB_FILLED);
    empty = word;
    if (<i64>(empty - full) < 0 || <i64>(empty - clock) > <i64>debt) empty = full;
    if (<i64>(clock - empty) <= 0) return false;
  } while (atomic.cmpxchg<u64>(bucket, word, empty + timeOf(bytes, rate), SB_FILLED) !== word);
  return true;
}
