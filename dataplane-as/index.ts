/**
 * The pipeline: what the worker calls. Packets lie where the vector says; each pass runs short stages over the whole batch,
 * so that the cache misses of one stage overlap (docs/pipeline.md).
 */
import { writeRequest } from './arp';
import { acknowledge, attach, begin, image, now, tracing } from './context';
import { tally } from './counters';
import { forward } from './forward';
import { work6 } from './ip6/index';
import { clearList, listed } from './ip6/list';
import { writeSolicitation } from './ip6/nd-packet';
import { isKnown6, staleNeighbor6 } from './ip6/neighbors6';
import { attach6 } from './ip6/sessions6';
import { NB_IP4, NB_PORT, NB6_ADDRESS, VECTOR_BASE, VECTOR_CAPACITY, VECTOR_SHIFT } from './layout';
import { hash, lookup, resolve } from './lookup';
import { isKnown, staleNeighbor } from './neighbors';
import { output } from './output';
import { parse, prepareParse, refuseAll } from './parse';
import { police } from './police';
import { prepareCrc } from './sctp';
import { age, placeCursors } from './sweep';
import { chooseTraced } from './trace';
import { attachWorkers, leave, workers } from './workers/lock';
import { mendTables } from './workers/mend';
import { dropTorn, startReading } from './workers/removed';

/** Reads the control block; call once its bases are written, before anything else. */
export function init(): void {
  attach();
  attach6();
  if (attachWorkers()) {
    mendTables();
    leave();
  }
  placeCursors();
  prepareCrc();
  prepareParse();
}

/** One pass over the packets 0..n-1 of the vector. `nowMs`: a clock that never goes back (it may wrap). */
export function process(n: i32, nowMs: u32): void {
  begin(nowMs);
  if (n > VECTOR_CAPACITY) n = VECTOR_CAPACITY;
  if (image === 0) refuseAll(n);
  else work(n);
  tally(n);
  acknowledge();
}

/** What is seldom wanted is asked here: each call that need not be made is a fiftieth of what a pass costs beside its packets. */
function work(n: i32): void {
  clearList();
  parse(n);
  if (tracing) chooseTraced(n);
  hash(n);
  startReading(n);
  if (lookup(n)) resolve(n);
  forward(n);
  output(n);
  if (workers > 1) dropTorn();
  if (listed !== 0) work6(n);
  police(n);
}

/** Ages `lines` session lines, and some entries of the small tables. Returns how many connections expired. */
export function sweep(nowMs: u32, lines: i32): i32 {
  begin(nowMs);
  return age(lines);
}

/** Is the MAC of `address` (network order as loaded) on `port` known? */
export function neighborKnown(address: u32, port: i32): i32 {
  return isKnown(address, port) ? 1 : 0;
}

/**
 * Writes an ARP request for `address` (network order as loaded) into the buffer of vector entry `at` (V_ADDRESS; 42 bytes),
 * to be sent by `port`. Returns its length, 0 if the port is not there. The entry's V_LENGTH, V_TOTAL and V_TX_PORT are set.
 */
export function buildArp(at: i32, address: u32, port: i32): i32 {
  begin(now);
  if (image === 0) return 0;
  const v: usize = VECTOR_BASE + ((<u32>at) << VECTOR_SHIFT);
  return writeRequest(v, port, address);
}

let refreshCursor: u32 = 0;

/**
 * Looks through `count` neighbors for one in use that was not heard of for long, and writes a request for it as buildArp does.
 * Returns the request's length, 0 = nothing to ask. Sent now and then, no packet is ever held up for a refresh.
 */
export function refreshNeighbor(at: i32, nowMs: u32, count: i32): i32 {
  begin(nowMs);
  const entry = staleNeighbor(refreshCursor, count);
  refreshCursor += count;
  if (entry === 0) return 0;
  return buildArp(at, load<u32>(entry, NB_IP4), load<u32>(entry, NB_PORT));
}

/** The address that neighborKnown6() and buildSolicitation() ask for: 16 bytes, written by their caller. */
const ASKED: usize = memory.data(16, 16);

export function askedAddress6(): i32 {
  return <i32>ASKED;
}

/** As neighborKnown(), for the address at askedAddress6(). */
export function neighborKnown6(port: i32): i32 {
  return isKnown6(ASKED, port) ? 1 : 0;
}

/** As buildArp(), for the address at askedAddress6(): a neighbor solicitation (86 bytes). */
export function buildSolicitation(at: i32, port: i32): i32 {
  begin(now);
  if (image === 0) return 0;
  return writeSolicitation(VECTOR_BASE + ((<u32>at) << VECTOR_SHIFT), port, ASKED);
}

let refreshCursor6: u32 = 0;

/** As refreshNeighbor(), for neighbors with IPv6 addresses. */
export function refreshNeighbor6(at: i32, nowMs: u32, count: i32): i32 {
  begin(nowMs);
  const entry = staleNeighbor6(refreshCursor6, count);
  refreshCursor6 += count;
  if (entry === 0 || image === 0) return 0;
  const v: usize = VECTOR_BASE + ((<u32>at) << VECTOR_SHIFT);
  return writeSolicitation(v, load<u32>(entry, NB_PORT), entry + NB6_ADDRESS);
}
