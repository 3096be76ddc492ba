/**
 * Aging, a little at a time between batches: a cursor walks over the sessions, others over the small tables. Of several workers each
 * has its own cursor, which begins at its own part of the table.
 */
import { sweepAffinity } from './affinity';
import { sessionMask } from './context';
import { sweepFragment } from './fragments';
import { sweepNeighbor6 } from './ip6/neighbors6';
import { age6, placeCursor6 } from './ip6/sweep6';
import { S_SRC, SS_EXPIRED } from './layout';
import { sweepNeighbor } from './neighbors';
import { clearTombstone, count, expired, isSpent, lineAt, removePair } from './sessions';
import { enterIfShared, leaveIfShared, self, workers } from './workers/lock';

let sessionCursor: u32 = 0;
let smallCursor: u32 = 0;

/** Starts where no other worker does. */
export function placeCursors(): void {
  sessionCursor = ((sessionMask + 1) / workers) * self;
  placeCursor6();
}

/** Looks at `lines` session lines and a few entries of the small tables. Returns the connections that expired. */
export function age(lines: i32): i32 {
  let gone = 0;
  const steps = min<u32>(<u32>max(lines, 0), sessionMask + 1);
  for (let i: u32 = 0; i < steps; i++) {
    const line = lineAt(sessionCursor++);
    const used = load<u32>(line, S_SRC) !== 0;
    // Looked at once more with the lock, which few lines need.
    if (used ? !expired(line) : !isSpent(line)) continue;
    if (!enterIfShared()) continue;
    if (load<u32>(line, S_SRC) === 0) clearTombstone(line);
    else gone += endSilent(line);
    leaveIfShared();
  }
  if (enterIfShared()) {
    for (let i: u32 = 0; i <= steps >> 4; i++) {
      sweepFragment(smallCursor);
      sweepAffinity(smallCursor);
      sweepNeighbor(smallCursor);
      sweepNeighbor6(smallCursor);
      smallCursor++;
    }
    leaveIfShared();
  }
  return gone + age6(steps);
}

/** Ends the connection of a line in use if it was silent for its time. Returns how many that are. */
export function endSilent(line: usize): i32 {
  if (!expired(line)) return 0;
  removePair(line);
  count(SS_EXPIRED);
  return 1;
}
