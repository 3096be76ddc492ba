/**
 * What the other workers told, taken in before a batch is looked at: a packet that answers another one came after that one was sent,
 * so its connection is known by then.
 */
import { setClock } from '../context';
import {
  MAX_WORKERS,
  R_KIND,
  R_STAMP,
  RECORD_SHIFT,
  RECORD_SIZE,
  RING_HEAD,
  RING_TAIL,
  RK_AFFINITY,
  RK_ASK,
  RK_FRAGMENT,
  RK_MASK,
  RK_NEIGHBOR,
  RK_NEIGHBOR6,
  RK_SIX,
} from '../layout';
import { receiveSession } from './adopt';
import { copyRecord, heard, ringOf, self, slotAt, workers } from './ring';
import { receiveAffinity, receiveFragment, receiveNeighbor, receiveNeighbor6 } from './tables';

const EARLY_MOST: u32 = 64;
const RECORD: usize = memory.data(2 * RECORD_SIZE, 16);

/**
 * Records about a connection that is not known here. Whoever wrote one had read of its opening in another worker's ring, where it is
 * for us as well, but maybe since we looked there.
 */
const EARLY: usize = memory.data(EARLY_MOST * 2 * RECORD_SIZE, 16);
let early: u32 = 0;

/** Takes in all that was told so far. */
export function catchUp(nowMs: u32): void {
  setClock(nowMs);
  early = 0;
  readRings();
  if (early === 0) return;
  const left = early;
  early = EARLY_MOST;
  readRings();
  for (let i: u32 = 0; i < left; i++) {
    const record = EARLY + i * 2 * RECORD_SIZE;
    receiveSession(record, load<u16>(record, R_KIND));
  }
}

/** By worker: how far its ring was read, and how far it will be. */
const TAILS: usize = memory.data(MAX_WORKERS * 4, 16);
const ENDS: usize = memory.data(MAX_WORKERS * 4, 16);
/** So often is looked for the ends of the rings, which others go on writing. */
const LOOKS = 4;

/**
 * Takes in what is in the rings, by stamps: who writes of what it has read of gives it a higher one, so that what came first there comes
 * first here, in whichever rings the two are. The end of a connection must not meet the one that was opened after it.
 */
function readRings(): void {
  if (!findEnds()) return;
  for (;;) {
    let next = self;
    let lowest: u32 = 0;
    // Up to where the ring may be read before another one's turn comes.
    let limit: u32 = 0;
    let others = false;
    for (let from: u32 = 0; from < workers; from++) {
      if (load<u32>(TAILS + (from << 2)) === load<u32>(ENDS + (from << 2))) continue;
      const stamp = stampAt(from);
      if (next === self || <i32>(stamp - lowest) < 0) {
        others = next !== self;
        limit = lowest;
        lowest = stamp;
        next = from;
      } else if (!others || <i32>(stamp - limit) < 0) {
        others = true;
        limit = stamp;
      }
    }
    if (next === self) return;
    readSome(next, others, limit);
  }
}

/**
 * Notes how far the rings go. What a record in one of them follows from is in the others by the time that it is seen: who looks again and
 * finds nothing new has all of it.
 */
function findEnds(): bool {
  for (let from: u32 = 0; from < workers; from++) {
    if (from === self) continue;
    const tail = load<u32>(ringOf(from, self), RING_TAIL);
    store<u32>(TAILS + (from << 2), tail);
    store<u32>(ENDS + (from << 2), tail);
  }
  let found = false;
  for (let look = 0; look < LOOKS; look++) {
    let more = false;
    for (let from: u32 = 0; from < workers; from++) {
      if (from === self) continue;
      const head = atomic.load<u32>(ringOf(from, self), RING_HEAD);
      if (head === load<u32>(ENDS + (from << 2))) continue;
      store<u32>(ENDS + (from << 2), head);
      more = true;
    }
    if (!more) break;
    found = true;
  }
  return found;
}

function stampAt(from: u32): u32 {
  return load<u32>(slotAt(ringOf(from, self), load<u32>(TAILS + (from << 2))), R_STAMP);
}

function putOff(): void {
  if (early === EARLY_MOST) return;
  const record = EARLY + early++ * 2 * RECORD_SIZE;
  copyRecord(record, RECORD);
  copyRecord(record + RECORD_SIZE, RECORD + RECORD_SIZE);
}

/** Reads the ring of `from`, to its end or as long as its stamps are no higher than `limit`. */
function readSome(from: u32, limited: bool, limit: u32): void {
  const ring = ringOf(from, self);
  const end = load<u32>(ENDS + (from << 2));
  let tail = load<u32>(TAILS + (from << 2));
  do {
    tail += read(ring, tail);
    store<u32>(TAILS + (from << 2), tail);
  } while (tail !== end && (!limited || <i32>(stampAt(from) - limit) <= 0));
  atomic.store<u32>(ring, tail, RING_TAIL);
}

/** Takes the record at `index`; returns its length. */
function read(ring: usize, index: u32): u32 {
  copyRecord(RECORD, slotAt(ring, index));
  heard(load<u32>(RECORD, R_STAMP));
  const kind: u32 = load<u16>(RECORD, R_KIND);
  const what = kind & RK_MASK;
  const length: u32 = (kind & RK_SIX) !== 0 || what === RK_NEIGHBOR6 ? 2 : 1;
  if (length === 2) copyRecord(RECORD + ((<usize>1) << RECORD_SHIFT), slotAt(ring, index + 1));
  if (what <= <u32>RK_ASK) {
    if (!receiveSession(RECORD, kind)) putOff();
  } else if (what === RK_AFFINITY) receiveAffinity(RECORD);
  else if (what === RK_NEIGHBOR) receiveNeighbor(RECORD);
  else if (what === RK_NEIGHBOR6) receiveNeighbor6(RECORD);
  else if (what === RK_FRAGMENT) receiveFragment(RECORD);
  return length;
}
