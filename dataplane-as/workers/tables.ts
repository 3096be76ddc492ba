/** What is told of the small tables, and what becomes of it: affinity, neighbors, fragments. */
import { placeOf } from '../affinity';
import { now } from '../context';
import { MAC_MASK } from '../ethernet';
import { noteFragment } from '../fragments';
import { note6 } from '../ip6/neighbors6';
import {
  AF_BACKEND,
  AF_CLIENT,
  AF_SEEN,
  AF_SERVICE,
  AFFINITY_SIZE,
  FR_ID,
  FR_PORTS,
  FR_PROTOCOL,
  FR_SRC,
  FRAGMENT_SIZE,
  NB_IP4,
  NB_MAC,
  NB_PORT,
  NB6_ADDRESS,
  NEIGHBOR_SIZE,
  R_KIND,
  RECORD_SIZE,
  RK_AFFINITY,
  RK_FRAGMENT,
  RK_NEIGHBOR,
  RK_NEIGHBOR6,
} from '../layout';
import { note } from '../neighbors';
import { copyRecord, tell } from './ring';

const RECORD: usize = memory.data(2 * RECORD_SIZE, 16);

function send(entry: usize, size: u32, kind: u32): void {
  memory.copy(RECORD, entry, size);
  store<u16>(RECORD, kind, R_KIND);
  tell(RECORD, 1);
}

export function announceAffinity(entry: usize): void {
  send(entry, AFFINITY_SIZE, RK_AFFINITY);
}

export function announceNeighbor(entry: usize): void {
  send(entry, NEIGHBOR_SIZE, RK_NEIGHBOR);
}

export function announceFragment(entry: usize): void {
  send(entry, FRAGMENT_SIZE, RK_FRAGMENT);
}

/** An entry fills a slot to its end, so its address goes into the second one. */
export function announceNeighbor6(entry: usize): void {
  copyRecord(RECORD + RECORD_SIZE, entry);
  memory.copy(RECORD, entry, NB6_ADDRESS);
  store<u16>(RECORD, RK_NEIGHBOR6, R_KIND);
  tell(RECORD, 2);
}

/** Of two backends for one client the later one counts, and of two at once the lower one: the same everywhere. */
export function receiveAffinity(record: usize): void {
  const client = load<u32>(record, AF_CLIENT);
  const service = load<u32>(record, AF_SERVICE);
  const backend = load<u32>(record, AF_BACKEND);
  const entry = placeOf(client, service);
  const later = load<u32>(record, AF_SEEN) - load<u32>(entry, AF_SEEN);
  const own = load<u32>(entry, AF_CLIENT) === client && load<u32>(entry, AF_SERVICE) === service;
  if (own && (<i32>later < 0 || (later === 0 && load<u32>(entry, AF_BACKEND) < backend))) return;
  memory.copy(entry, record, AFFINITY_SIZE);
  // The other worker's clock may be a little ahead of this one's.
  if (<i32>(now - load<u32>(entry, AF_SEEN)) < 0) store<u32>(entry, now, AF_SEEN);
}

export function receiveNeighbor(record: usize): void {
  note(load<u32>(record, NB_IP4), load<u32>(record, NB_PORT), load<u64>(record, NB_MAC) & MAC_MASK, false);
}

export function receiveNeighbor6(record: usize): void {
  const address = record + RECORD_SIZE + NB6_ADDRESS;
  note6(address, load<u32>(record, NB_PORT), load<u64>(record, NB_MAC) & MAC_MASK, false);
}

export function receiveFragment(record: usize): void {
  noteFragment(
    load<u64>(record, FR_SRC),
    load<u32>(record, FR_ID),
    load<u32>(record, FR_PORTS),
    load<u32>(record, FR_PROTOCOL),
  );
}
