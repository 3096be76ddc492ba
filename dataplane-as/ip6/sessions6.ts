// biome-ignore-all lint/correctness/noPrecisionLoss: these are 64-bit integers, not JavaScript numbers.
/**
 * The session table of IPv6. A line's second half has the shape of an IPv4 line (dataplane-as/layout), so age, state, peers and removal
 * are those of sessions.ts; only what looks at addresses is here.
 */
import { seed } from '../context';
import { sessionHash } from '../hash';
import {
  CONTROL_BASE,
  CTL_SESSIONS6_BASE,
  CTL_SESSIONS6_LOG2,
  S_PORTS,
  S_SRC,
  S6_DST,
  SESSION_WINDOW,
  SESSION6_BLOCK,
  SESSION6_SHIFT,
  SS_EVICTED,
  SS_EXPIRED,
  SS_TABLE_FULL,
} from '../layout';
import { count, KEY_MASK, rankOf, removePair } from '../sessions';
import { same } from './address';

/** 0 = this data plane has no IPv6. */
export let sessions6: usize = 0;
export let sessionMask6: u32 = 0;

/** Reads the table's place from the control block. */
export function attach6(): void {
  sessions6 = load<u32>(CONTROL_BASE, CTL_SESSIONS6_BASE);
  sessionMask6 = ((<u32>1) << load<u32>(CONTROL_BASE, CTL_SESSIONS6_LOG2)) - 1;
}

/** Both addresses as one word; with the seed as `salt` nobody outside can choose two pairs that fall together. */
export function mix(source: usize, destination: usize, salt: u64): u64 {
  let h = (load<u64>(source) ^ salt) * 0x9e3779b97f4a7c15;
  h ^= h >> 32;
  h = (h + load<u64>(source, 8)) * 0xd6e8feb86659fd93;
  h ^= h >> 32;
  h = (h + load<u64>(destination)) * 0x9e3779b97f4a7c15;
  h ^= h >> 32;
  h = (h + load<u64>(destination, 8)) * 0xd6e8feb86659fd93;
  return h ^ (h >> 32);
}

/** Hash of a tuple, as sessionHash() for IPv4. */
export function sessionHash6(source: usize, destination: usize, key: u64): u32 {
  return sessionHash(mix(source, destination, seed), key, seed);
}

/** The block of a line. */
export function blockAt(index: u32): usize {
  return sessions6 + ((<usize>(index & sessionMask6)) << SESSION6_SHIFT) + SESSION6_BLOCK;
}

export function find6(source: usize, destination: usize, key: u64, hash: u32): usize {
  for (let i: u32 = 0; i < <u32>SESSION_WINDOW; i++) {
    const block = blockAt(hash + i);
    if (load<u32>(block, S_SRC) === 0 || (load<u64>(block, S_PORTS) & KEY_MASK) !== key) continue;
    const line = block - SESSION6_BLOCK;
    if (same(line, source) && same(line + S6_DST, destination)) return block;
  }
  return 0;
}

export function findTuple6(source: usize, destination: usize, key: u64): usize {
  return find6(source, destination, key, sessionHash6(source, destination, key));
}

/** As allocate() for IPv4: an empty block in the window of `hash`, evicting a connection if there is none; 0 = none. */
export function allocate6(hash: u32, keep: usize): usize {
  let victim: usize = 0;
  let best: u32 = 0;
  for (let i: u32 = 0; i < <u32>SESSION_WINDOW; i++) {
    const block = blockAt(hash + i);
    if (block === keep) continue;
    if (load<u32>(block, S_SRC) === 0) return block;
    const rank = rankOf(block);
    if (victim === 0 || rank > best) {
      victim = block;
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
