/** Aging, a little at a time between batches: a cursor walks over the sessions, others over the small tables. */
import { sweepAffinity } from './affinity';
import { sessionMask } from './context';
import { sweepFragment } from './fragments';
import { sweepNeighbor6 } from './ip6/neighbors6';
import { age6 } from './ip6/sweep6';
import { S_SRC, SS_EXPIRED } from './layout';
import { sweepNeighbor } from './neighbors';
import { clearTombstone, count, expired, forget, lineAt } from './sessions';
import { agreed, isAwake } from './workers/silence';

let sessionCursor: u32 = 0;
let smallCursor: u32 = 0;

/** Looks at `lines` session lines and a few entries of the small tables. Returns the connections that expired. */
export function age(lines: i32): i32 {
  let gone = 0;
  const steps = min<u32>(<u32>max(lines, 0), sessionMask + 1);
  for (let i: u32 = 0; i < steps; i++) {
    const line = lineAt(sessionCursor++);
    if (load<u32>(line, S_SRC) === 0) {
      clearTombstone(line);
      continue;
    }
    if (!expired(line)) {
      isAwake(line);
      continue;
    }
    if (!agreed(line)) continue;
    forget(line);
    count(SS_EXPIRED);
    gone++;
  }
  for (let i: u32 = 0; i <= steps >> 4; i++) {
    sweepFragment(smallCursor);
    sweepAffinity(smallCursor);
    sweepNeighbor(smallCursor);
    sweepNeighbor6(smallCursor);
    smallCursor++;
  }
  return gone + age6(steps);
}
