/** Aging of IPv6's tables; as sweep.ts, which calls it. */
import { S_SRC } from '../layout';
import { expired } from '../sessions';
import { endSilent } from '../sweep';
import { enterIfShared, leaveIfShared, self, workers } from '../workers/lock';
import { blockAt, sessionMask6, sessions6 } from './sessions6';

let cursor: u32 = 0;

export function placeCursor6(): void {
  cursor = ((sessionMask6 + 1) / workers) * self;
}

/** Looks at `lines` session lines. Returns the connections that expired. */
export function age6(lines: u32): i32 {
  if (sessions6 === 0) return 0;
  let gone = 0;
  const steps = min<u32>(lines, sessionMask6 + 1);
  for (let i: u32 = 0; i < steps; i++) {
    const block = blockAt(cursor++);
    if (load<u32>(block, S_SRC) === 0 || !expired(block) || !enterIfShared()) continue;
    if (load<u32>(block, S_SRC) !== 0) gone += endSilent(block);
    leaveIfShared();
  }
  return gone;
}
