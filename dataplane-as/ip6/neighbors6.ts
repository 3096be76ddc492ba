/** Neighbors with IPv6 addresses, by the rules of neighbors.ts: known from neighbor discovery only, asked for in time. */
import { now, since } from '../context';
import {
  NB_ASKED,
  NB_IP4,
  NB_MAC,
  NB_PORT,
  NB_SEEN,
  NB_STATE,
  NB_USED,
  NB6_ADDRESS,
  NEIGHBOR6_CAPACITY,
  NEIGHBOR6_SIZE,
  NEIGHBORS6_BASE,
} from '../layout';
import {
  EMPTY,
  givenUp,
  KNOWN,
  macOf,
  needsRefresh,
  placeRank,
  REQUEST_INTERVAL,
  WANTED,
  writeNeighbor,
} from '../neighbors';
import { enterIfShared, leaveIfShared } from '../workers/lock';
import { copy, imageHash6, same } from './address';

const MASK: u32 = NEIGHBOR6_CAPACITY - 1;
const WINDOW: u32 = 8;

function entryAt(slot: u32): usize {
  return NEIGHBORS6_BASE + (slot & MASK) * NEIGHBOR6_SIZE;
}

function find(address: usize, port: u32): usize {
  const hash = imageHash6(address, port);
  for (let i: u32 = 0; i < WINDOW; i++) {
    const entry = entryAt(hash + i);
    if (load<u32>(entry, NB_IP4) !== hash || load<u32>(entry, NB_PORT) !== port) continue;
    if (load<u8>(entry, NB_STATE) !== EMPTY && same(entry + NB6_ADDRESS, address)) return entry;
  }
  return 0;
}

/** Takes the place for a new entry: an empty one, else the one least missed. */
function add(address: usize, port: u32, mac: u64, state: u32): usize {
  const hash = imageHash6(address, port);
  let chosen: usize = 0;
  let best: u32 = 0;
  for (let i: u32 = 0; i < WINDOW; i++) {
    const entry = entryAt(hash + i);
    if (load<u8>(entry, NB_STATE) === EMPTY) {
      chosen = entry;
      break;
    }
    const rank = placeRank(entry);
    if (chosen === 0 || rank > best) {
      chosen = entry;
      best = rank;
    }
  }
  // Without a MAC until it has its address: another worker may look.
  writeNeighbor(chosen, hash, port, 0, EMPTY);
  copy(chosen + NB6_ADDRESS, address);
  writeNeighbor(chosen, hash, port, mac, state);
  store<u32>(chosen, now, NB_USED);
  return chosen;
}

/** MAC of a known neighbor, 0 = not known. Notes that a packet goes to it. */
export function neighborMac6(address: usize, port: u32): u64 {
  const entry = find(address, port);
  const mac = entry === 0 ? 0 : macOf(entry);
  return entry === find(address, port) ? mac : 0;
}

/** May an unknown neighbor be asked for now? If so it is noted as asked for. */
export function mayAsk6(address: usize, port: u32): bool {
  if (!enterIfShared()) return false;
  const may = noteAsked(address, port);
  leaveIfShared();
  return may;
}

function noteAsked(address: usize, port: u32): bool {
  const entry = find(address, port);
  if (entry === 0) {
    add(address, port, 0, WANTED);
    return true;
  }
  if (since(load<u32>(entry, NB_SEEN)) < REQUEST_INTERVAL) return false;
  store<u32>(entry, now, NB_SEEN);
  return true;
}

/** Notes a neighbor's MAC. `onlyKnown`: do not add one that nobody asked for. Returns whether it was noted. */
export function learn6(address: usize, port: u32, mac: u64, onlyKnown: bool): bool {
  if (!enterIfShared()) return false;
  const entry = find(address, port);
  const noted = entry !== 0 || !onlyKnown;
  if (entry !== 0) writeNeighbor(entry, load<u32>(entry, NB_IP4), port, mac, KNOWN);
  else if (noted) add(address, port, mac, KNOWN);
  leaveIfShared();
  return noted;
}

/** A packet from this address and MAC came in: if that is what we know, it is still true. */
export function confirm6(address: usize, port: u32, mac: u64): void {
  const entry = find(address, port);
  if (entry !== 0 && load<u64>(entry, NB_MAC) === (mac | ((<u64>KNOWN) << 48)))
    store<u32>(entry, now, NB_SEEN);
}

export function isKnown6(address: usize, port: u32): bool {
  const entry = find(address, port);
  return entry !== 0 && load<u8>(entry, NB_STATE) === KNOWN;
}

/** A neighbor in use that should be asked for again, 0 = none among `count` entries from `from`. */
export function staleNeighbor6(from: u32, count: u32): usize {
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryAt(from + i);
    if (!needsRefresh(entry)) continue;
    store<u32>(entry, now, NB_ASKED);
    return entry;
  }
  return 0;
}

/** Forgets an entry that was not confirmed for long (called round robin by the sweep). */
export function sweepNeighbor6(index: u32): void {
  const entry = entryAt(index);
  if (givenUp(entry)) memory.fill(entry, 0, NEIGHBOR6_SIZE);
}
