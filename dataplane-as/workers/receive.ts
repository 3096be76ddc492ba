/**
 * What the other workers told, taken in before a batch is looked at: a packet that answers another one came after that one was sent,
 * so its connection is known by then.
 */
import { setClock } from '../context';
import {
  R_KIND,
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
import { copyRecord, ringOf, self, slotAt, workers } from './ring';
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

function readRings(): void {
  for (let from: u32 = 0; from < workers; from++) {
    if (from !== self) readAll(ringOf(from, self));
  }
}

function putOff(): void {
  if (early === EARLY_MOST) return;
  const record = EARLY + early++ * 2 * RECORD_SIZE;
  copyRecord(record, RECORD);
  copyRecord(record + RECORD_SIZE, RECORD + RECORD_SIZE);
}

function readAll(ring: usize): void {
  let tail = load<u32>(ring, RING_TAIL);
  const head = atomic.load<u32>(ring, RING_HEAD);
  if (tail === head) return;
  while (tail !== head) tail += read(ring, tail);
  atomic.store<u32>(ring, tail, RING_TAIL);
}

/** Takes the record at `index`; returns its length. */
function read(ring: usize, index: u32): u32 {
  copyRecord(RECORD, slotAt(ring, index));
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
