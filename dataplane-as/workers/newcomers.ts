/** The connections that establish.ts opens many at once, as the other workers are told of them. */
import { RK_OPEN, S_PACKETS, V_SESSION } from '../layout';
import { MOST, N_PACKET, N_SIZE, NEWCOMERS } from '../newcomers';
import { announce } from './announce';
import { hasRoom, workers } from './ring';

/** Is there room to tell of a whole pass? If not, each connection is asked for by itself. */
export function mayOpen(): bool {
  return workers === 1 || hasRoom(<u32>MOST);
}

/** Tells of those up to `end` that were opened: none of them has carried a packet yet. */
export function announceNewcomers(end: usize): void {
  for (let at = NEWCOMERS; at < end; at += N_SIZE) {
    const v: usize = load<u32>(at, N_PACKET);
    if (v === 0) continue;
    const line: usize = load<u32>(v, V_SESSION);
    if (line !== 0 && load<u32>(line, S_PACKETS) === 0) announce(line, RK_OPEN);
  }
}
