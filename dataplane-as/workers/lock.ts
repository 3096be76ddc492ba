/**
 * Several workers change the sessions and small tables that they share one at a time: who opens, judges again or ends connections, or
 * learns something, takes a lock, once a batch. Who only forwards takes none (removed.ts).
 */
import {
  CONTROL_BASE,
  CTL_SHARED_BASE,
  CTL_WORKER,
  CTL_WORKERS,
  LOCK_HOLDER_BITS,
  MAX_WORKERS,
  SH_LOCK,
} from '../layout';

/** How many there are, and which one this is. */
export let workers: u32 = 1;
export let self: u32 = 0;
/** What they share (SH_*). */
export let shared: usize = 0;

const HOLDER: u32 = (1 << LOCK_HOLDER_BITS) - 1;
/**
 * Looks at the lock before it is given up on: some 20 ms. Who holds it is done in microseconds, unless it lost its core, which the
 * scheduler gives back sooner, or its life.
 */
const PATIENCE: u32 = 1 << 24;

/** The lock's word when it was given up on: as long as it stays, nobody waits for it again. */
let stuck: u32 = 0;

/** Reads the control block. Returns whether this worker ended while it held the lock, which it does no more then. */
export function attachWorkers(): bool {
  workers = max<u32>(1, min<u32>(load<u32>(CONTROL_BASE, CTL_WORKERS), MAX_WORKERS));
  self = load<u32>(CONTROL_BASE, CTL_WORKER);
  shared = load<u32>(CONTROL_BASE, CTL_SHARED_BASE);
  stuck = 0;
  return workers > 1 && (atomic.load<u32>(shared, SH_LOCK) & HOLDER) === self + 1;
}

/** Takes the lock; who has it does not ask again. False: another worker holds it and stands still. */
export function enter(): bool {
  for (let look: u32 = 0; look < PATIENCE; look++) {
    const word = atomic.load<u32>(shared, SH_LOCK);
    if ((word & HOLDER) !== 0) {
      if (word === stuck) return false;
      continue;
    }
    const taken = word + (HOLDER + 1) + self + 1;
    if (atomic.cmpxchg<u32>(shared, word, taken, SH_LOCK) === word) return true;
  }
  stuck = atomic.load<u32>(shared, SH_LOCK);
  return false;
}

/** Gives the lock back. */
export function leave(): void {
  atomic.store<u32>(shared, load<u32>(shared, SH_LOCK) & ~HOLDER, SH_LOCK);
}

/** Of one worker alone: true. */
export function enterIfShared(): bool {
  return workers === 1 || enter();
}

export function leaveIfShared(): void {
  if (workers > 1) leave();
}

const FENCE: usize = memory.data(4, 16);

/** What this worker read and wrote before comes before what it reads and writes afterwards, for all: atomic.fence(), which asc refuses. */
export function fence(): void {
  atomic.store<u32>(FENCE, 0);
  atomic.load<u32>(FENCE);
}
