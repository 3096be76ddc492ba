/**
 * Neighbors on the uplink: address and port -> MAC, learned from ARP only. A known one is refreshed by its own traffic and,
 * when that is silent, asked for again while packets still go to it; the worker sends those requests (refreshNeighbor).
 */
import { now, since } from './context';
import { MAC_MASK } from './ethernet';
import { imageHash } from './hash';
import {
  NB_ASKED,
  NB_IP4,
  NB_MAC,
  NB_PORT,
  NB_SEEN,
  NB_STATE,
  NB_USED,
  NEIGHBOR_CAPACITY,
  NEIGHBOR_SIZE,
  NEIGHBORS_BASE,
} from './layout';
import { enterIfShared, leaveIfShared } from './workers/lock';

const MASK: u32 = NEIGHBOR_CAPACITY - 1;
const WINDOW: u32 = 8;
export const EMPTY: u32 = 0;
export const WANTED: u32 = 1;
export const KNOWN: u32 = 2;
/** Between two requests for the same unknown neighbor. */
export const REQUEST_INTERVAL: u32 = 100;
/** Unconfirmed for so long a neighbor in use is asked for again. */
const STALE: u32 = 30_000;
const REFRESH_INTERVAL: u32 = 1_000;
/** Unconfirmed for so long it is forgotten. */
const EXPIRED: u32 = 120_000;
const WANTED_EXPIRED: u32 = 5_000;

function entryAt(slot: u32): usize {
  return NEIGHBORS_BASE + (slot & MASK) * NEIGHBOR_SIZE;
}

function find(address: u32, port: u32): usize {
  const start = imageHash(address, port);
  for (let i: u32 = 0; i < WINDOW; i++) {
    const entry = entryAt(start + i);
    if (load<u32>(entry, NB_IP4) === address && load<u32>(entry, NB_PORT) === port) return entry;
  }
  return 0;
}

/** The place for a new entry: an empty one, else the oldest wanted one, else the longest unused. */
function place(address: u32, port: u32): usize {
  const start = imageHash(address, port);
  let chosen: usize = 0;
  let best: u32 = 0;
  for (let i: u32 = 0; i < WINDOW; i++) {
    const entry = entryAt(start + i);
    const state: u32 = load<u8>(entry, NB_STATE);
    if (state === EMPTY) return entry;
    const rank = placeRank(entry);
    if (chosen === 0 || rank > best) {
      chosen = entry;
      best = rank;
    }
  }
  return chosen;
}

/** How little an entry would be missed. */
export function placeRank(entry: usize): u32 {
  const wanted = load<u8>(entry, NB_STATE) === WANTED;
  const age = since(wanted ? load<u32>(entry, NB_SEEN) : load<u32>(entry, NB_USED)) >> 1;
  return age | (wanted ? <u32>0x80000000 : 0);
}

/**
 * Fills an entry, in an order that neighborMac() of another worker may come in between: an entry that changes hands has no MAC until
 * it has its new key.
 */
export function writeNeighbor(entry: usize, address: u32, port: u32, mac: u64, state: u32): void {
  if (load<u32>(entry, NB_IP4) !== address || load<u32>(entry, NB_PORT) !== port) {
    atomic.store<u64>(entry, 0, NB_MAC);
    store<u32>(entry, address, NB_IP4);
    store<u32>(entry, port, NB_PORT);
  }
  atomic.store<u64>(entry, (mac & MAC_MASK) | ((<u64>state) << 48), NB_MAC);
  store<u32>(entry, now, NB_SEEN);
}

/** The MAC of an entry, 0 = it has none. Notes that a packet goes to it. */
export function macOf(entry: usize): u64 {
  const word = atomic.load<u64>(entry, NB_MAC);
  if (<u32>(word >> 48) !== KNOWN) return 0;
  store<u32>(entry, now, NB_USED);
  return word & MAC_MASK;
}

/** MAC of a known neighbor, 0 = not known. Notes that a packet goes to it. */
export function neighborMac(address: u32, port: u32): u64 {
  const entry = find(address, port);
  const mac = entry === 0 ? 0 : macOf(entry);
  // Another worker may have given the entry to somebody else meanwhile.
  return entry === find(address, port) ? mac : 0;
}

/** May an unknown neighbor be asked for now? If so it is noted as asked for. */
export function mayAsk(address: u32, port: u32): bool {
  if (!enterIfShared()) return false;
  const may = noteAsked(address, port);
  leaveIfShared();
  return may;
}

function noteAsked(address: u32, port: u32): bool {
  let entry = find(address, port);
  if (entry === 0) {
    entry = place(address, port);
    writeNeighbor(entry, address, port, 0, WANTED);
    store<u32>(entry, now, NB_USED);
    return true;
  }
  if (since(load<u32>(entry, NB_SEEN)) < REQUEST_INTERVAL) return false;
  store<u32>(entry, now, NB_SEEN);
  return true;
}

/** Notes a neighbor's MAC. `onlyKnown`: do not add one that nobody asked for. Returns whether it was noted. */
export function learn(address: u32, port: u32, mac: u64, onlyKnown: bool): bool {
  if (!enterIfShared()) return false;
  let entry = find(address, port);
  if (entry === 0 && !onlyKnown) {
    entry = place(address, port);
    store<u32>(entry, now, NB_USED);
  }
  if (entry !== 0) writeNeighbor(entry, address, port, mac, KNOWN);
  leaveIfShared();
  return entry !== 0;
}

/** A packet from this address and MAC came in: if that is what we know, it is still true. */
export function confirm(address: u32, port: u32, mac: u64): void {
  const entry = find(address, port);
  if (entry !== 0 && load<u64>(entry, NB_MAC) === (mac | ((<u64>KNOWN) << 48)))
    store<u32>(entry, now, NB_SEEN);
}

export function isKnown(address: u32, port: u32): bool {
  const entry = find(address, port);
  return entry !== 0 && load<u8>(entry, NB_STATE) === KNOWN;
}

/** Is it in use, and was it not heard of or asked for lately? */
export function needsRefresh(entry: usize): bool {
  if (load<u8>(entry, NB_STATE) !== KNOWN) return false;
  if (since(load<u32>(entry, NB_SEEN)) < STALE || since(load<u32>(entry, NB_USED)) > STALE) return false;
  return since(load<u32>(entry, NB_ASKED)) >= REFRESH_INTERVAL;
}

/** A neighbor in use that should be asked for again, 0 = none among `count` entries from `from`. */
export function staleNeighbor(from: u32, count: u32): usize {
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryAt(from + i);
    if (!needsRefresh(entry)) continue;
    store<u32>(entry, now, NB_ASKED);
    return entry;
  }
  return 0;
}

/** Forgets an entry that was not confirmed for long (called round robin by the sweep). */
export function sweepNeighbor(index: u32): void {
  const entry = entryAt(index);
  if (givenUp(entry)) memory.fill(entry, 0, NEIGHBOR_SIZE);
}

/** Was it not confirmed for so long that it is forgotten? */
export function givenUp(entry: usize): bool {
  const state: u32 = load<u8>(entry, NB_STATE);
  if (state === EMPTY) return false;
  return since(load<u32>(entry, NB_SEEN)) > (state === KNOWN ? EXPIRED : WANTED_EXPIRED);
}
