/**
 * The session table: two lines a connection, one for each direction, within SESSION_WINDOW lines of the home of the tuple
 * that packets of that direction arrive with. An empty line has source 0, which no packet has.
 *
 * A search ends at the first line that is vacant, so most searches read one line: a line that is given up while searches for
 * others come by becomes a tombstone, which they pass over and new connections take. Lines of IPv6 (ip6/sessions6.ts) lie in a
 * table of their own, where searches read whole windows.
 *
 * Several workers have one table. What is here is done with their lock held, but for find(), which may miss a line that another one
 * writes at that moment: who finds nothing looks again with the lock.
 */
import { seed, sessionMask, sessions, since } from './context';
import { sessionHash } from './hash';
import { ICMP, REPLY, SCTP, TCP, UDP } from './l4';
import {
  CONTROL_BASE,
  CTL_TIMEOUT_ICMP,
  CTL_TIMEOUT_OTHER,
  CTL_TIMEOUT_SCTP,
  CTL_TIMEOUT_TCP_CLOSING,
  CTL_TIMEOUT_TCP_ESTABLISHED,
  CTL_TIMEOUT_TCP_SYN,
  CTL_TIMEOUT_UDP,
  CTL_TIMEOUT_UDP_STREAM,
  S_PEER,
  S_PORTS,
  S_PROTOCOL,
  S_SEEN,
  S_SRC,
  S_STATE,
  SESSION_SHIFT,
  SESSION_SIZE,
  SESSION_STATS_BASE,
  SESSION_WINDOW,
  SS_ACTIVE,
  SS_EVICTED,
  SS_EXPIRED,
  SS_TABLE_FULL,
  ST_CLOSING,
  ST_EMPTY,
  ST_ESTABLISHED,
  ST_TOMBSTONE,
} from './layout';
import { workers } from './workers/lock';
import { noteRemoval } from './workers/removed';

/** Ports and protocol of a line's tuple as one word: S_PORTS and the byte behind it. */
export const KEY_MASK: u64 = 0xff_ffffffff;

/** Rises with each line that is taken from its connection: lines a batch holds may then mean something else. */
export let removals: u32 = 0;

export function lineAt(index: u32): usize {
  return sessions + ((<usize>(index & sessionMask)) << SESSION_SHIFT);
}

export function find(addresses: u64, key: u64, hash: u32): usize {
  for (let i: u32 = 0; i < <u32>SESSION_WINDOW; i++) {
    const line = lineAt(hash + i);
    const second = load<u64>(line, S_PORTS);
    if (load<u64>(line, S_SRC) === addresses && (second & KEY_MASK) === key) return line;
    // Source 0 and no state: neither a connection nor a tombstone.
    if ((<u64>load<u32>(line, S_SRC) | second) === 0) return 0;
  }
  return 0;
}

/** Line of the packets that answer those with this tuple; REPLY takes the place of ICMP. */
export function answerKey(ports: u32, protocol: u32): u64 {
  let answer = protocol;
  if (protocol === ICMP) answer = REPLY;
  else if (protocol === REPLY) answer = ICMP;
  return <u64>rotl<u32>(ports, 16) | ((<u64>answer) << 32);
}

export function findTuple(addresses: u64, key: u64): usize {
  return find(addresses, key, sessionHash(addresses, key, seed));
}

export function count(word: i32): void {
  store<u64>(SESSION_STATS_BASE + word, load<u64>(SESSION_STATS_BASE + word) + 1);
}

/** Milliseconds a connection may stay silent. */
function timeoutOf(protocol: u32, state: u32): u32 {
  if (protocol === TCP) {
    if (state === ST_ESTABLISHED) return load<u32>(CONTROL_BASE, CTL_TIMEOUT_TCP_ESTABLISHED);
    if (state === ST_CLOSING) return load<u32>(CONTROL_BASE, CTL_TIMEOUT_TCP_CLOSING);
    return load<u32>(CONTROL_BASE, CTL_TIMEOUT_TCP_SYN);
  }
  if (protocol === UDP) {
    if (state === ST_ESTABLISHED) return load<u32>(CONTROL_BASE, CTL_TIMEOUT_UDP_STREAM);
    return load<u32>(CONTROL_BASE, CTL_TIMEOUT_UDP);
  }
  if (protocol === ICMP || protocol === REPLY) return load<u32>(CONTROL_BASE, CTL_TIMEOUT_ICMP);
  if (protocol === SCTP) return load<u32>(CONTROL_BASE, CTL_TIMEOUT_SCTP);
  return load<u32>(CONTROL_BASE, CTL_TIMEOUT_OTHER);
}

/** Milliseconds since a packet of either direction. */
function idle(line: usize): u32 {
  const own = since(load<u32>(line, S_SEEN));
  const other = since(load<u32>(<usize>load<u32>(line, S_PEER), S_SEEN));
  return min<u32>(own, other);
}

export function expired(line: usize): bool {
  return idle(line) > timeoutOf(load<u8>(line, S_PROTOCOL), load<u8>(line, S_STATE));
}

function isVacant(line: usize): bool {
  return (<u64>load<u32>(line, S_SRC) | load<u64>(line, S_PORTS)) === 0;
}

/** Empties a line; it stays a tombstone if searches for other lines come by. */
export function vacate(line: usize): void {
  for (let at: usize = 0; at < <usize>SESSION_SIZE; at += 16) v128.store(line + at, i64x2.splat(0));
  const index = <u32>((line - sessions) >> SESSION_SHIFT);
  if (index > sessionMask) return; // of IPv6
  if (isPassed(index)) store<u8>(line, ST_TOMBSTONE, S_STATE);
  else clearBefore(index);
}

/** Does a search for one of the lines behind come by this one? */
function isPassed(index: u32): bool {
  for (let i: u32 = 1; i < <u32>SESSION_WINDOW; i++) {
    const line = lineAt(index + i);
    if (isVacant(line)) return false;
    if (load<u32>(line, S_SRC) === 0) continue;
    const home = sessionHash(load<u64>(line, S_SRC), load<u64>(line, S_PORTS) & KEY_MASK, seed);
    if (((index + i - home) & sessionMask) >= i) return true;
  }
  return false;
}

/** The line at `index` is vacant now, so no search comes by tombstones right before it. */
function clearBefore(index: u32): void {
  for (let line = lineAt(--index); isTombstone(line); line = lineAt(--index))
    store<u8>(line, ST_EMPTY, S_STATE);
}

function isTombstone(line: usize): bool {
  return load<u32>(line, S_SRC) === 0 && load<u8>(line, S_STATE) === ST_TOMBSTONE;
}

/**
 * Lets searches from the home `hash` come as far as `line`, which is about to be filled: when connections are evicted for a new one,
 * lines in front of those it gets become vacant, since nothing was behind them yet.
 */
export function pave(hash: u32, line: usize): void {
  for (let at = lineAt(hash); at !== line; at = lineAt(++hash)) {
    if (isVacant(at)) store<u8>(at, ST_TOMBSTONE, S_STATE);
  }
}

/** Is it a tombstone that is not needed any more? */
export function isSpent(line: usize): bool {
  return isTombstone(line) && !isPassed(<u32>((line - sessions) >> SESSION_SHIFT));
}

/** Makes such a line vacant. */
export function clearTombstone(line: usize): void {
  if (!isSpent(line)) return;
  store<u8>(line, ST_EMPTY, S_STATE);
  clearBefore(<u32>((line - sessions) >> SESSION_SHIFT));
}

/** Empties both lines of a connection. */
export function removePair(line: usize): void {
  const peer: usize = load<u32>(line, S_PEER);
  if (workers > 1) noteRemoval(line, peer);
  vacate(line);
  vacate(peer);
  store<u64>(SESSION_STATS_BASE + SS_ACTIVE, load<u64>(SESSION_STATS_BASE + SS_ACTIVE) - 1);
  removals++;
}

/** How gladly a line is given up: expired, then closing, then not established, then longest silent. */
export function rankOf(line: usize): u32 {
  const silent = min<u32>(idle(line), 0x0fffffff);
  if (expired(line)) return 0x30000000 | silent;
  const state: u32 = load<u8>(line, S_STATE);
  if (state === ST_CLOSING) return 0x20000000 | silent;
  return state === ST_ESTABLISHED ? silent : 0x10000000 | silent;
}

/**
 * An empty line in the window of `hash`, evicting a connection if there is none. `keep` is not given up (the other line of
 * the connection that is being made). 0 = the window holds nothing else.
 */
export function allocate(hash: u32, keep: usize): usize {
  let victim: usize = 0;
  let best: u32 = 0;
  for (let i: u32 = 0; i < <u32>SESSION_WINDOW; i++) {
    const line = lineAt(hash + i);
    if (line === keep) continue;
    if (load<u32>(line, S_SRC) === 0) return line;
    const rank = rankOf(line);
    if (victim === 0 || rank > best) {
      victim = line;
      best = rank;
    }
  }
  if (victim === 0) {
    count(SS_TABLE_FULL);
    return 0;
  }
  if (best >= 0x30000000) count(SS_EXPIRED);
  else {
    count(SS_EVICTED);
    if (best < 0x10000000) count(SS_TABLE_FULL);
  }
  removePair(victim);
  return victim;
}
