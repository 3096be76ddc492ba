/**
 * Which session lines other workers took from their connections, or gave other ways, while a batch was under way. A worker reads lines
 * without a lock, and what it does by a line that is another connection's meanwhile must not leave: whoever takes a line away notes it
 * first, and who used lines looks at the notes before its packets are sent. Where there are none, which is one load a batch, all it read
 * was whole.
 */
import {
  DROP_WORKERS,
  OUT_ARP_REQUEST,
  OUT_FORWARD_HOST,
  OUT_FRAG_NEEDED_SENT,
  OUT_ND_REQUEST,
  OUT_TTL_EXCEEDED_SENT,
  REMOVED_CAPACITY,
  SESSION_SHIFT,
  SH_REMOVALS,
  SH_REMOVED,
  V_FLAGS,
  V_OUTCOME,
  V_SESSION,
  VECTOR_BASE,
  VECTOR_SHIFT,
  VECTOR_SIZE,
  VF_ICMP_ERROR,
} from '../layout';
import { fence, shared, workers } from './lock';

/** Notes up to here are known: what this batch holds was found after they were written. */
let seen: u32 = 0;

/** By line, a few to a byte: may it be among those looked for? */
const FILTER_SIZE: u32 = 4096;
const FILTER: usize = memory.data(4096, 16);

/** Where the batch ends in the vector. */
let batchEnd: usize = VECTOR_BASE;

/** To be called before lines are looked for, for the packets 0..n-1 of the vector. */
export function startReading(n: i32): void {
  if (workers === 1) return;
  batchEnd = <usize>VECTOR_BASE + ((<usize>n) << VECTOR_SHIFT);
  seen = atomic.load<u32>(shared, SH_REMOVALS);
}

/** Whoever found a line by its key finds all of it from here on: it was written before the key. */
export function foundLines(): void {
  if (workers > 1) fence();
}

/** Notes both lines of a connection that is about to lose them, or its ways. The lock is held. */
export function noteRemoval(line: usize, peer: usize): void {
  const end = load<u32>(shared, SH_REMOVALS);
  store<u32>(noteAt(end), <u32>line);
  store<u32>(noteAt(end + 1), <u32>peer);
  atomic.store<u32>(shared, end + 2, SH_REMOVALS);
  // The note comes before what happens to the line, for who sees the latter.
  fence();
}

function noteAt(index: u32): usize {
  return shared + SH_REMOVED + ((<usize>(index & (REMOVED_CAPACITY - 1))) << 2);
}

/** Is the line still that of the connection it was found for? Asked with the lock held. */
export function isHeld(line: usize): bool {
  const end = load<u32>(shared, SH_REMOVALS);
  return end === seen || !isNoted(line, end);
}

function isNoted(line: usize, end: u32): bool {
  if (end - seen > <u32>REMOVED_CAPACITY) return true;
  for (let at = seen; at !== end; at++) if (load<u32>(noteAt(at)) === <u32>line) return true;
  return false;
}

/**
 * Takes their lines from the packets that are not decided on yet, where another worker took them away: they are looked for again. With
 * the lock held, and before this worker takes any away itself.
 */
export function release(): void {
  const end = load<u32>(shared, SH_REMOVALS);
  if (end === seen) return;
  for (let v: usize = VECTOR_BASE; v < batchEnd; v += VECTOR_SIZE) {
    const line: usize = load<u32>(v, V_SESSION);
    if (load<u32>(v, V_OUTCOME) !== 0 || line === 0 || !isNoted(line, end)) continue;
    store<u32>(v, 0, V_SESSION);
    // An ICMP error is already translated by it.
    if (load<u32>(v, V_FLAGS) & VF_ICMP_ERROR) store<u32>(v, DROP_WORKERS, V_OUTCOME);
  }
  seen = end;
}

/** What was noted so far this worker has done itself, and knows. With the lock held. */
export function acceptOwn(): void {
  seen = load<u32>(shared, SH_REMOVALS);
}

/** Drops the packets that were rewritten by lines that other workers took away meanwhile. */
export function dropTorn(): void {
  if (workers === 1) return;
  // What was read of lines was read before this.
  fence();
  const end = atomic.load<u32>(shared, SH_REMOVALS);
  if (end !== seen) dropNoted(end);
}

function dropNoted(end: u32): void {
  let lost = end - seen > <u32>REMOVED_CAPACITY;
  if (!lost) {
    for (let at = seen; at !== end; at++) store<u8>(filterOf(load<u32>(noteAt(at))), 1);
    // They may have been written over meanwhile.
    lost = atomic.load<u32>(shared, SH_REMOVALS) - seen > <u32>REMOVED_CAPACITY;
  }
  for (let v: usize = VECTOR_BASE; v < batchEnd; v += VECTOR_SIZE) {
    const outcome = load<u32>(v, V_OUTCOME);
    const line: usize = load<u32>(v, V_SESSION);
    if (line === 0 || !wentByLine(outcome)) continue;
    if (!lost && (load<u8>(filterOf(<u32>line)) === 0 || !isNoted(line, end))) continue;
    store<u32>(v, DROP_WORKERS, V_OUTCOME);
  }
  memory.fill(FILTER, 0, FILTER_SIZE);
}

function filterOf(line: u32): usize {
  return FILTER + ((line >> SESSION_SHIFT) & (FILTER_SIZE - 1));
}

/** Did what became of a packet follow from what was read of a line? Whatever stage decided otherwise left V_SESSION as it was. */
function wentByLine(outcome: u32): bool {
  if (outcome - 1 < <u32>OUT_FORWARD_HOST) return true;
  if (outcome === OUT_ARP_REQUEST || outcome === OUT_ND_REQUEST) return true;
  return outcome === OUT_FRAG_NEEDED_SENT || outcome === OUT_TTL_EXCEEDED_SENT;
}
