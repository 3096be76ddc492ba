/**
 * What workers tell each other: a ring for each ordered pair of them, in the region that all share. Who writes one waits for nobody;
 * what is written is there for its reader before the batch ends, so before any packet of it is sent.
 */
import {
  CONTROL_BASE,
  CTL_RING_LOG2,
  CTL_SHARED_BASE,
  CTL_WORKER,
  CTL_WORKERS,
  MAX_WORKERS,
  R_STAMP,
  RECORD_SHIFT,
  RECORD_SIZE,
  RING_HEAD,
  RING_SLOTS,
  RING_TAIL,
  SESSION_STATS_BASE,
  SH_RINGS,
  SS_UNTOLD,
} from '../layout';

/** How many there are, and which one this is. */
export let workers: u32 = 1;
export let self: u32 = 0;

/** Slots that opening one connection may need: two for it, and two for each of two that it evicts. */
export const OPENING: u32 = 6;

let rings: usize = 0;
/** Slots of a ring, and its bytes. */
let slots: u32 = 0;
let ringSize: usize = 0;

/** The latest stamp written or read here. */
let stamp: u32 = 0;

/** By worker: slots written to it, and how many it had read when that was looked at last. */
const HEADS: usize = memory.data(MAX_WORKERS * 4, 16);
const TAILS: usize = memory.data(MAX_WORKERS * 4, 16);

/** Reads the control block; rings go on where they are. */
export function attachRings(): void {
  workers = max<u32>(1, min<u32>(load<u32>(CONTROL_BASE, CTL_WORKERS), MAX_WORKERS));
  self = load<u32>(CONTROL_BASE, CTL_WORKER);
  if (workers === 1) return;
  slots = (<u32>1) << load<u32>(CONTROL_BASE, CTL_RING_LOG2);
  ringSize = RING_SLOTS + ((<usize>slots) << RECORD_SHIFT);
  rings = load<u32>(CONTROL_BASE, CTL_SHARED_BASE) + SH_RINGS;
  stamp = load<u32>(ringOf(self, self), RING_HEAD);
  for (let to: u32 = 0; to < workers; to++) {
    store<u32>(HEADS + (to << 2), load<u32>(ringOf(self, to), RING_HEAD));
    store<u32>(TAILS + (to << 2), load<u32>(ringOf(self, to), RING_TAIL));
  }
}

/** The ring that `from` writes and `to` reads. */
export function ringOf(from: u32, to: u32): usize {
  return rings + (from * workers + to) * ringSize;
}

export function slotAt(ring: usize, index: u32): usize {
  return ring + RING_SLOTS + ((<usize>(index & (slots - 1))) << RECORD_SHIFT);
}

/** Is there room for `wanted` slots in the ring to this worker? */
function fits(to: u32, wanted: u32): bool {
  const head = load<u32>(HEADS + (to << 2));
  if (head + wanted - load<u32>(TAILS + (to << 2)) <= slots) return true;
  const tail = atomic.load<u32>(ringOf(self, to), RING_TAIL);
  store<u32>(TAILS + (to << 2), tail);
  return head + wanted - tail <= slots;
}

/**
 * May a connection be opened now that needs so many slots? A quarter of each ring is kept for what is told of connections that are there already, which
 * cannot be put off.
 */
export function hasRoom(wanted: u32): bool {
  for (let to: u32 = 0; to < workers; to++) {
    if (to !== self && !fits(to, wanted + (slots >> 2))) return false;
  }
  return true;
}

/** What is told from here on follows a record with this stamp. */
export function heard(other: u32): void {
  if (<i32>(other - stamp) > 0) stamp = other;
}

/** Tells all others: a record of one slot or two. Who has no room misses it, which is counted. */
export function tell(record: usize, length: u32): void {
  store<u32>(record, ++stamp, R_STAMP);
  store<u32>(ringOf(self, self), stamp, RING_HEAD);
  for (let to: u32 = 0; to < workers; to++) {
    if (to === self) continue;
    if (fits(to, length)) push(to, record, length);
    else store<u64>(SESSION_STATS_BASE + SS_UNTOLD, load<u64>(SESSION_STATS_BASE + SS_UNTOLD) + 1);
  }
}

function push(to: u32, record: usize, length: u32): void {
  const ring = ringOf(self, to);
  const head = load<u32>(HEADS + (to << 2));
  for (let i: u32 = 0; i < length; i++) copyRecord(slotAt(ring, head + i), record + (i << RECORD_SHIFT));
  store<u32>(HEADS + (to << 2), head + length);
  atomic.store<u32>(ring, head + length, RING_HEAD);
}

export function copyRecord(to: usize, from: usize): void {
  for (let at: usize = 0; at < <usize>RECORD_SIZE; at += 16) v128.store(to + at, v128.load(from + at));
}
