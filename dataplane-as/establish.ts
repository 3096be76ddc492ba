/**
 * Opens the connections that newcomers.ts has decided on, in the order of their packets: what open.ts does one by one. A packet whose
 * connection another one of the batch has opened gets its line; who would have to take a line or a port from somebody is left to first.ts.
 */
import { change32, fold } from './checksum';
import { generation, now, sessionMask, sessions } from './context';
import {
  MAX_RULES,
  MAX_SERVICES,
  RULE_COUNTERS_BASE,
  RULE_FIRST,
  S_ADJACENCY,
  S_BACKEND,
  S_GENERATION,
  S_NEW_PORTS,
  S_NEW_SRC,
  S_PORTS,
  S_RULE,
  S_SRC,
  S_STATE,
  SERVICE_COUNTERS_BASE,
  SESSION_SHIFT,
  SESSION_STATS_BASE,
  SESSION_WINDOW,
  SF_REPLY,
  SS_ACTIVE,
  SS_CREATED,
  ST_CLOSING,
  ST_NEW,
  V_HASH,
  V_OUTCOME,
  V_PORTS,
  V_PROTOCOL,
  V_SESSION,
  V_SRC,
} from './layout';
import {
  N_AHEAD,
  N_BACK,
  N_BACK_FLAGS,
  N_BACKEND,
  N_EGRESS,
  N_FLAGS,
  N_HASH,
  N_INGRESS,
  N_NEW_PORTS,
  N_NEW_SRC,
  N_OUTCOME,
  N_PACKET,
  N_RULE,
  N_SERVICE,
  N_SIZE,
  NEWCOMERS,
} from './newcomers';
import { KEY_MASK } from './sessions';
import { fence, workers } from './workers/lock';

/** Takes the records of NEWCOMERS up to `end`. What is left to first.ts has neither session nor outcome afterwards. */
export function establish(end: usize): void {
  const mask = sessionMask;
  const table = sessions;
  const made = <u64>generation;
  const several = workers > 1;
  const clock = (<u64>now) << 32;
  let created: u64 = 0;
  for (let at = NEWCOMERS; at < end; at += N_SIZE) {
    const v: usize = load<u32>(at, N_PACKET);
    if (v === 0) continue;
    const addresses = load<u64>(v, V_SRC);
    const tuple = load<u64>(v, V_PORTS);
    const protocol = load<u32>(v, V_PROTOCOL);

    // The packet's own line, or the first one that is free for it.
    let index = load<u32>(v, V_HASH);
    let last = index + SESSION_WINDOW;
    let forth: usize = 0;
    let found: usize = 0;
    for (; index !== last; index++) {
      const line = table + ((<usize>(index & mask)) << SESSION_SHIFT);
      const one = load<u64>(line, S_SRC);
      const two = load<u64>(line, S_PORTS);
      if (((one ^ addresses) | ((two & KEY_MASK) ^ tuple)) === 0) {
        found = line;
        break;
      }
      if (<u32>one !== 0) continue;
      if (forth === 0) forth = line;
      if (two === 0) break;
    }
    if (found !== 0) {
      // One that another worker opened may have to be judged again.
      if (load<u32>(found, S_GENERATION) === <u32>made && load<u8>(found, S_STATE) !== ST_CLOSING)
        store<u32>(v, <u32>found, V_SESSION);
      continue;
    }
    if (load<u32>(at, N_OUTCOME) !== 0) {
      store<u32>(v, load<u32>(at, N_OUTCOME), V_OUTCOME);
      countRules(at);
      continue;
    }
    if (forth === 0) continue;

    // The same for its answers, besides that one.
    const next = load<u64>(at, N_NEW_SRC);
    const newPorts = load<u32>(at, N_NEW_PORTS);
    const answers = rotl<u64>(next, 32);
    const answerKey = <u64>rotl<u32>(newPorts, 16) | ((<u64>protocol) << 32);
    let reply: usize = 0;
    index = load<u32>(at, N_HASH);
    last = index + SESSION_WINDOW;
    for (; index !== last; index++) {
      const line = table + ((<usize>(index & mask)) << SESSION_SHIFT);
      const one = load<u64>(line, S_SRC);
      const two = load<u64>(line, S_PORTS);
      if (((one ^ answers) | ((two & KEY_MASK) ^ answerKey)) === 0) {
        found = line;
        break;
      }
      if (<u32>one !== 0 || line === forth) continue;
      if (reply === 0) reply = line;
      if (two === 0) break;
    }
    if (found !== 0 || reply === 0) continue;

    // Both lines, each in eight stores; as writeWhole() in open.ts.
    const flags = load<u32>(at, N_FLAGS);
    const backFlags = flags | load<u32>(at, N_BACK_FLAGS) | SF_REPLY;
    const service = load<u32>(at, N_SERVICE);
    const about = load<u64>(at, N_RULE); // and N_SERVICE
    const backend = <u64>load<u32>(at, N_BACKEND);
    const changed = change32(<u32>addresses, <u32>next) + change32(<u32>(addresses >> 32), <u32>(next >> 32));
    const delta = fold(changed);
    const delta4 = fold(changed + change32(<u32>tuple, newPorts));
    store<u64>(forth, tuple | ((<u64>((ST_NEW << 8) | (flags << 16))) << 32), S_PORTS);
    store<u64>(forth, made | ((<u64>reply) << 32), S_GENERATION);
    store<u64>(forth, next, S_NEW_SRC);
    store<u64>(forth, <u64>newPorts | ((<u64>(delta | (delta4 << 16))) << 32), S_NEW_PORTS);
    store<u64>(forth, <u64>load<u32>(at, N_AHEAD) | clock, S_ADJACENCY);
    store<u64>(forth, about, S_RULE);
    store<u64>(forth, backend, S_BACKEND);
    store<u64>(reply, answerKey | ((<u64>((ST_NEW << 8) | (backFlags << 16))) << 32), S_PORTS);
    store<u64>(reply, made | ((<u64>forth) << 32), S_GENERATION);
    store<u64>(reply, rotl<u64>(addresses, 32), S_NEW_SRC);
    const deltas = opposite(delta) | (opposite(delta4) << 16);
    store<u64>(reply, <u64>rotl<u32>(<u32>tuple, 16) | ((<u64>deltas) << 32), S_NEW_PORTS);
    store<u64>(reply, <u64>load<u32>(at, N_BACK) | clock, S_ADJACENCY);
    store<u64>(reply, about, S_RULE);
    store<u64>(reply, backend, S_BACKEND);
    // Last of all, as that is what other workers find them by.
    if (several) fence();
    store<u64>(forth, addresses, S_SRC);
    store<u64>(reply, answers, S_SRC);
    store<u32>(v, <u32>forth, V_SESSION);
    created++;
    countRules(at);
    const rule = load<u32>(at, N_RULE);
    if (rule < <u32>RULE_FIRST)
      store<u64>(rule << 3, load<u64>(rule << 3, RULE_COUNTERS_BASE) + 1, RULE_COUNTERS_BASE);
    if (service - 1 < <u32>(MAX_SERVICES - 1)) {
      const word = service << 4;
      store<u64>(word, load<u64>(word, SERVICE_COUNTERS_BASE) + 1, SERVICE_COUNTERS_BASE);
    }
  }
  store<u64>(SESSION_STATS_BASE, load<u64>(SESSION_STATS_BASE, SS_CREATED) + created, SS_CREATED);
  store<u64>(SESSION_STATS_BASE, load<u64>(SESSION_STATS_BASE, SS_ACTIVE) + created, SS_ACTIVE);
}

/** What undoes a folded change of a checksum. */
function opposite(delta: u32): u32 {
  return delta === 0xffff ? delta : delta ^ 0xffff;
}

/** Counts the rules of the policies that judged. */
function countRules(at: usize): void {
  const egress = load<u32>(at, N_EGRESS);
  const ingress = load<u32>(at, N_INGRESS);
  if (egress < <u32>MAX_RULES) {
    store<u64>(egress << 3, load<u64>(egress << 3, RULE_COUNTERS_BASE) + 1, RULE_COUNTERS_BASE);
  }
  if (ingress < <u32>MAX_RULES) {
    store<u64>(ingress << 3, load<u64>(ingress << 3, RULE_COUNTERS_BASE) + 1, RULE_COUNTERS_BASE);
  }
}
