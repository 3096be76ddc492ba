/**
 * Policy by identity: address -> identity, (policy, identity) -> port set, port set -> the interval that holds the protocol
 * and port. Cost does not depend on the number of rules.
 */
import { image, tracing } from './context';
import { homeOf } from './hash';
import {
  ACTION_ALLOW,
  IMG_LPM4,
  IMG_LPM4_LOG2,
  IMG_PAIRS,
  IMG_PAIRS_LOG2,
  IMG_POLICIES,
  IMG_POLICIES_COUNT,
  IMG_PORTSETS,
  IMG_PORTSETS_COUNT,
  LPM_USED,
  LPM4_ADDRESS,
  LPM4_META,
  LPM4_SHIFT,
  LPM4_VALUE,
  PAIR_IDENTITY,
  PAIR_POLICY,
  PAIR_PORTSET,
  PAIR_SHIFT,
  POLICY_DEFAULT_PORTSET,
  POLICY_SIZE,
  PORTSET_FROM,
  PORTSET_LINES,
  PORTSET_SHIFT,
  RULE_NONE,
  SPACE_IDENTITY,
} from './layout';
import { lookup4, MISS } from './lpm';
import { saidOf } from './port-lines';
import { record } from './trace';

/** No image has so many: what it judges is denied. */
const NO_SET: u32 = 0xffffffff;

/** Rule that decided the latest verdict. */
export let verdictRule: u32 = RULE_NONE;

/** The port set by which `policy` judges `identity`. */
export function portSetOf(policy: u32, identity: u32): u32 {
  const table = image + load<u32>(image, IMG_PAIRS);
  const log2 = load<u32>(image, IMG_PAIRS_LOG2);
  const mask = ((<u32>1) << log2) - 1;
  const home = homeOf(policy, identity, log2);
  for (let i: u32 = 0; i <= mask; i++) {
    const slot = table + (((home + i) & mask) << PAIR_SHIFT);
    const found = load<u32>(slot, PAIR_POLICY);
    if (found === policy && load<u32>(slot, PAIR_IDENTITY) === identity) return load<u32>(slot, PAIR_PORTSET);
    if (found === 0) break;
  }
  return load<u32>(image + load<u32>(image, IMG_POLICIES) + policy * POLICY_SIZE, POLICY_DEFAULT_PORTSET);
}

/**
 * VERDICT_ALLOW or 0 | rule of port set `set` for `key` = protocol << 16 | destination port (host order), without a branch
 * where the set has one line.
 */
export function verdictOf(set: u32, key: u32): u32 {
  if (set >= load<u32>(image, IMG_PORTSETS_COUNT)) return RULE_NONE;
  let line = image + load<u32>(image, IMG_PORTSETS) + ((<usize>set) << PORTSET_SHIFT);
  const lines = load<u32>(line, PORTSET_LINES);
  if (lines > 1) line = lineOf(line, lines, key);
  return saidOf(line, i32x4.splat(key));
}

/** The last of the set's lines that begins at or below `key`, the first one if none does. */
export function lineOf(first: usize, lines: u32, key: u32): usize {
  let low: u32 = 0;
  for (let size = lines; size > 1; ) {
    const half = size >> 1;
    const middle = first + ((<usize>(low + half)) << PORTSET_SHIFT);
    low = load<u32>(middle, PORTSET_FROM) <= key ? low + half : low;
    size -= half;
  }
  return first + ((<usize>low) << PORTSET_SHIFT);
}

/**
 * May a connection with a peer of this identity and `key` pass `policy`? A policy that is not in the image denies: broken
 * tables must not open anything. `stage` names the direction for a trace.
 */
export function permits(v: usize, stage: u32, policy: u32, identity: u32, key: u32): bool {
  let verdict: u32 = RULE_NONE;
  if (policy < load<u32>(image, IMG_POLICIES_COUNT)) verdict = verdictOf(portSetOf(policy, identity), key);
  const action = verdict >> 31;
  verdictRule = verdict & 0x7fffffff;
  if (tracing) record(v, stage, policy, identity, action, verdictRule, 0);
  return action === ACTION_ALLOW;
}

/** VERDICT_ALLOW or 0 | rule by which `policy` judges `peer`, an address in network order. */
export function verdictFor(policy: u32, peer: u32, key: u32): u32 {
  return verdictOf(setFor(policy, peer), key);
}

/**
 * The port set by which `policy` judges `peer`, an address in network order; one that is not there for a policy that is not. The home
 * slots are looked at here, and others are asked for what they do not answer.
 */
export function setFor(policy: u32, peer: u32): u32 {
  if (policy >= load<u32>(image, IMG_POLICIES_COUNT)) return NO_SET;
  const meta: u32 = LPM_USED | (SPACE_IDENTITY << 8) | 32;
  const addresses = image + load<u32>(image, IMG_LPM4);
  const peerSlot = addresses + (homeOf(peer, meta, load<u32>(image, IMG_LPM4_LOG2)) << LPM4_SHIFT);
  let identity = load<u32>(peerSlot, LPM4_VALUE);
  if ((load<u32>(peerSlot, LPM4_META) ^ meta) | (load<u32>(peerSlot, LPM4_ADDRESS) ^ peer)) {
    identity = lookup4(SPACE_IDENTITY, peer);
    if (identity === MISS) identity = 0;
  }
  const pairs = image + load<u32>(image, IMG_PAIRS);
  const slot = pairs + (homeOf(policy, identity, load<u32>(image, IMG_PAIRS_LOG2)) << PAIR_SHIFT);
  if ((load<u32>(slot, PAIR_POLICY) ^ policy) | (load<u32>(slot, PAIR_IDENTITY) ^ identity)) {
    return portSetOf(policy, identity);
  }
  return load<u32>(slot, PAIR_PORTSET);
}

/** permits() for `peer`, an address in network order. */
export function allows(v: usize, stage: u32, policy: u32, peer: u32, key: u32): bool {
  const identity = lookup4(SPACE_IDENTITY, peer);
  return permits(v, stage, policy, identity === MISS ? 0 : identity, key);
}
