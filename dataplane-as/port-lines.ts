/** A line of a port set: four intervals over protocol and port, and what holds in each of them and in none. */
import { PORTSET_FROM, PORTSET_INTERVALS, PORTSET_TO, PORTSET_VERDICT } from './layout';

/** What `line` says of a key, protocol << 16 | port, that stands in all lanes of `keys`; without a branch. */
export function saidOf(line: usize, keys: v128): u32 {
  const above = i32x4.le_s(v128.load(line, PORTSET_FROM), keys);
  const inside = i32x4.bitmask(v128.and(above, i32x4.ge_s(v128.load(line, PORTSET_TO), keys)));
  // What holds in none stands behind the last interval's verdict.
  return load<u32>(line + (ctz(inside | (1 << PORTSET_INTERVALS)) << 2), PORTSET_VERDICT);
}
