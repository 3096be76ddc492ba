/** Aging of IPv6's tables; as sweep.ts, which calls it. */
import { S_SRC, SS_EXPIRED } from '../layout';
import { count, expired, forget } from '../sessions';
import { agreed, isAwake } from '../workers/silence';
import { blockAt, sessionMask6, sessions6 } from './sessions6';

let cursor: u32 = 0;

/** Looks at `lines` session lines. Returns the connections that expired. */
export function age6(lines: u32): i32 {
  if (sessions6 === 0) return 0;
  let gone = 0;
  const steps = min<u32>(lines, sessionMask6 + 1);
  for (let i: u32 = 0; i < steps; i++) {
    const block = blockAt(cursor++);
    if (load<u32>(block, S_SRC) === 0) continue;
    if (!expired(block)) {
      isAwake(block);
      continue;
    }
    if (!agreed(block)) continue;
    forget(block);
    count(SS_EXPIRED);
    gone++;
  }
  return gone;
}
