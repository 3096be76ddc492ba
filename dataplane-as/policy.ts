/**
 * Policy by identity: address -> identity, (policy, identity) -> port set, port set -> the interval that holds the protocol
 * and port. Cost does not depend on the number of rules.
 */
import { image, tracing } from './context';
import { imageHash } from './hash';
import {
  ACTION_ALLOW,
  ACTION_DENY,
  IMG_INTERVALS,
  IMG_INTERVALS_COUNT,
  IMG_PAIRS,
  IMG_PAIRS_LOG2,
  IMG_POLICIES,
  IMG_POLICIES_COUNT,
  IMG_PORTSETS,
  IMG_PORTSETS_COUNT,
  INTERVAL_ACTION,
  INTERVAL_FROM,
  INTERVAL_RULE,
  INTERVAL_SIZE,
  INTERVAL_TO,
  PAIR_IDENTITY,
  PAIR_POLICY,
  PAIR_PORTSET,
  PAIR_SHIFT,
  POLICY_DEFAULT_PORTSET,
  POLICY_SIZE,
  PORTSET_COUNT,
  PORTSET_DEFAULT_ACTION,
  PORTSET_DEFAULT_RULE,
  PORTSET_FIRST,
  PORTSET_SIZE,
  RULE_NONE,
  SPACE_IDENTITY,
} from './layout';
import { lookup4, MISS } from './lpm';
import { record } from './trace';

/** Rule that decided the latest verdict. */
export let verdictRule: u32 = RULE_NONE;

function portSetOf(policy: u32, identity: u32): u32 {
  const table = image + load<u32>(image, IMG_PAIRS);
  const mask = ((<u32>1) << load<u32>(image, IMG_PAIRS_LOG2)) - 1;
  const home = imageHash(policy, identity);
  for (let i: u32 = 0; i <= mask; i++) {
    const slot = table + (((home + i) & mask) << PAIR_SHIFT);
    const found = load<u32>(slot, PAIR_POLICY);
    if (found === 0) break;
    if (found === policy && load<u32>(slot, PAIR_IDENTITY) === identity) return load<u32>(slot, PAIR_PORTSET);
  }
  return load<u32>(image + load<u32>(image, IMG_POLICIES) + policy * POLICY_SIZE, POLICY_DEFAULT_PORTSET);
}

/** Action of the port set for `key` = protocol << 16 | destination port (host order). Sets verdictRule. */
function judgePorts(set: u32, key: u32): u32 {
  verdictRule = RULE_NONE;
  if (set >= load<u32>(image, IMG_PORTSETS_COUNT)) return ACTION_DENY;
  const ports = image + load<u32>(image, IMG_PORTSETS) + set * PORTSET_SIZE;
  const intervals = image + load<u32>(image, IMG_INTERVALS);
  let low = load<u32>(ports, PORTSET_FIRST);
  let high = min<u32>(low + load<u32>(ports, PORTSET_COUNT), load<u32>(image, IMG_INTERVALS_COUNT));
  while (low < high) {
    const middle = (low + high) >> 1;
    const interval = intervals + middle * INTERVAL_SIZE;
    if (key < load<u32>(interval, INTERVAL_FROM)) high = middle;
    else if (key > load<u32>(interval, INTERVAL_TO)) low = middle + 1;
    else {
      verdictRule = load<u32>(interval, INTERVAL_RULE);
      return load<u32>(interval, INTERVAL_ACTION);
    }
  }
  verdictRule = load<u32>(ports, PORTSET_DEFAULT_RULE);
  return load<u32>(ports, PORTSET_DEFAULT_ACTION);
}

/**
 * May a connection with `peer` (network order) and `key` pass `policy`? A policy that is not in the image denies: broken
 * tables must not open anything. `stage` names the direction for a trace.
 */
export function allows(v: usize, stage: u32, policy: u32, peer: u32, key: u32): bool {
  const identity = lookup4(SPACE_IDENTITY, peer);
  return permits(v, stage, policy, identity === MISS ? 0 : identity, key);
}

/** The same for a peer whose identity is known. */
export function permits(v: usize, stage: u32, policy: u32, identity: u32, key: u32): bool {
  let action: u32 = ACTION_DENY;
  verdictRule = RULE_NONE;
  if (policy < load<u32>(image, IMG_POLICIES_COUNT)) action = judgePorts(portSetOf(policy, identity), key);
  if (tracing) record(v, stage, policy, identity, action, verdictRule, 0);
  return action === ACTION_ALLOW;
}
