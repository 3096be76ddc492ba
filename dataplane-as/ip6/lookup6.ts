/** Stages 2 and 3 for IPv6: hash, session, and the slow path where there is none in force; as lookup.ts and slow.ts. */
import { generation, tracing } from '../context';
import {
  DROP_SESSION_FULL,
  DROP_WORKERS,
  S_GENERATION,
  S_PORTS,
  S_RULE,
  S_SRC,
  S_STATE,
  S6_DST,
  S6_NEW_DST,
  SESSION6_BLOCK,
  ST_CLOSING,
  STAGE_SESSION_HIT,
  V_FLAGS,
  V_HASH,
  V_L3,
  V_OUTCOME,
  V_PORTS,
  V_SESSION,
  VF_ICMP_ERROR,
} from '../layout';
import { enterForBatch, leaveForBatch } from '../lookup';
import { AGAIN } from '../rejudge';
import { REJECT } from '../services';
import { KEY_MASK, removals, removePair } from '../sessions';
import { reopens } from '../slow';
import { workers } from '../workers/lock';
import { foundLines } from '../workers/removed';
import { same } from './address';
import { followError6 } from './errors6';
import { first6 } from './first6';
import { answerEcho6, refuse6 } from './icmp6';
import { entry, listed } from './list';
import { rejudge6 } from './rejudge6';
import { blockAt, find6, sessionHash6 } from './sessions6';
import { record6 } from './trace6';

/** Only so that the touching loads are not dropped by the optimiser. */
export let touched6: u32 = 0;

/** From here on these packets have no outcome, as those of IPv4 after parse. */
export function hash6(): void {
  let sum: u32 = 0;
  for (let i: u32 = 0; i < listed; i++) {
    const v = entry(i);
    const l3: usize = load<u32>(v, V_L3);
    const h = sessionHash6(l3 + 8, l3 + 24, load<u64>(v, V_PORTS));
    store<u64>(v, <u64>h, V_HASH); // and V_SESSION
    store<u32>(v, 0, V_OUTCOME);
    sum += load<u32>(blockAt(h), S_SRC);
  }
  touched6 = sum;
}

/** Sets V_SESSION where a line is in force; returns whether any packet is left for the slow path. */
export function lookup6Sessions(): bool {
  let missing = false;
  for (let i: u32 = 0; i < listed; i++) {
    const v = entry(i);
    const l3: usize = load<u32>(v, V_L3);
    const block = find6(l3 + 8, l3 + 24, load<u64>(v, V_PORTS), load<u32>(v, V_HASH));
    if (block === 0 || isStale(v, block)) missing = true;
    else settle(v, block);
  }
  foundLines();
  return missing;
}

function settle(v: usize, block: usize): void {
  store<u32>(v, <u32>block, V_SESSION);
  if (tracing) record6(v, STAGE_SESSION_HIT, 0, 0, <u32>block, load<u32>(block, S_RULE), generation);
}

/** Must the slow path look at this packet although it has a line? */
function isStale(v: usize, block: usize): bool {
  if (load<u32>(block, S_GENERATION) !== generation) return true;
  if (load<u32>(v, V_FLAGS) & VF_ICMP_ERROR) return true;
  return load<u8>(block, S_STATE) === ST_CLOSING && reopens(v, block);
}

/** Runs the slow path where it is needed; see resolve() about packets whose line is taken from them meanwhile. */
export function resolve6(): void {
  if (workers > 1 && !enterForBatch()) {
    refuseUndecided();
    return;
  }
  resolveSlowly();
  if (workers > 1) leaveForBatch();
}

/** Another worker stands still, in the midst of a change. */
function refuseUndecided(): void {
  for (let i: u32 = 0; i < listed; i++) {
    const v = entry(i);
    if (load<u32>(v, V_OUTCOME) === 0 && load<u32>(v, V_SESSION) === 0)
      store<u32>(v, DROP_WORKERS, V_OUTCOME);
  }
}

function resolveSlowly(): void {
  for (let round = 0; round < 3; round++) {
    const before = removals;
    for (let i: u32 = 0; i < listed; i++) {
      const v = entry(i);
      if (load<u32>(v, V_OUTCOME) === 0 && load<u32>(v, V_SESSION) === 0) slow6(v);
    }
    if (removals === before) return;
    for (let i: u32 = 0; i < listed; i++) disown(entry(i), round === 2);
  }
}

/** Takes V_SESSION from a packet whose line was given to another connection. */
function disown(v: usize, last: bool): void {
  const block: usize = load<u32>(v, V_SESSION);
  if (load<u32>(v, V_OUTCOME) !== 0 || block === 0) return;
  const l3: usize = load<u32>(v, V_L3);
  const line = block - SESSION6_BLOCK;
  const error = (load<u32>(v, V_FLAGS) & VF_ICMP_ERROR) !== 0;
  const inUse = load<u32>(block, S_SRC) !== 0;
  // An ICMP error is already translated: what counts is that the line still leads to where it goes.
  if (error) {
    if (inUse && same(line + S6_NEW_DST, l3 + 24)) return;
  } else if (
    inUse &&
    (load<u64>(block, S_PORTS) & KEY_MASK) === load<u64>(v, V_PORTS) &&
    same(line, l3 + 8) &&
    same(line + S6_DST, l3 + 24)
  ) {
    return;
  }
  store<u32>(v, 0, V_SESSION);
  if (last || error) store<u32>(v, DROP_SESSION_FULL, V_OUTCOME);
}

function slow6(v: usize): void {
  const outcome = decide(v);
  if (outcome === REJECT) refuse6(v);
  else if (outcome !== 0) store<u32>(v, outcome, V_OUTCOME);
}

function decide(v: usize): i32 {
  if (load<u32>(v, V_FLAGS) & VF_ICMP_ERROR) return followError6(v);
  const l3: usize = load<u32>(v, V_L3);
  const block = find6(l3 + 8, l3 + 24, load<u64>(v, V_PORTS), load<u32>(v, V_HASH));
  if (block === 0) return answerEcho6(v) ? 0 : first6(v);
  if (reopens(v, block)) {
    removePair(block);
    return first6(v);
  }
  if (load<u32>(block, S_GENERATION) !== generation) {
    const outcome = rejudge6(v, block);
    if (outcome === AGAIN) return first6(v);
    if (outcome !== 0) return outcome;
  }
  settle(v, block);
  return 0;
}
