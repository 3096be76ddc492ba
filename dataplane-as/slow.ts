/** Packets without a session that is in force: our own echo, ICMP errors, stale sessions, first packets. */
import { generation, tracing } from './context';
import { first } from './first';
import { answerEcho, refuse } from './icmp';
import { followError } from './icmp-errors';
import { ACK, SYN, TCP } from './l4';
import {
  S_GENERATION,
  S_RULE,
  S_STATE,
  ST_CLOSING,
  STAGE_SESSION_HIT,
  V_FLAGS,
  V_HASH,
  V_L4,
  V_OUTCOME,
  V_PORTS,
  V_PROTOCOL,
  V_SESSION,
  V_SRC,
  VF_ICMP_ERROR,
  VF_LATER_FRAGMENT,
} from './layout';
import { AGAIN, rejudge } from './rejudge';
import { REJECT } from './services';
import { find, removePair } from './sessions';
import { record } from './trace';

/** Decides on `v`: it leaves with V_SESSION or with an outcome. */
export function slow(v: usize): void {
  const outcome = decide(v);
  if (outcome === REJECT) refuse(v);
  else if (outcome !== 0) store<u32>(v, outcome, V_OUTCOME);
}

function decide(v: usize): i32 {
  if (load<u32>(v, V_FLAGS) & VF_ICMP_ERROR) return followError(v);
  const line = find(load<u64>(v, V_SRC), load<u64>(v, V_PORTS), load<u32>(v, V_HASH));
  if (line === 0) return answerEcho(v) ? 0 : first(v);
  if (reopens(v, line)) {
    removePair(line);
    return first(v);
  }
  if (load<u32>(line, S_GENERATION) !== generation) {
    const outcome = rejudge(v, line);
    if (outcome === AGAIN) return first(v);
    if (outcome !== 0) return outcome;
  }
  store<u32>(v, <u32>line, V_SESSION);
  if (tracing) record(v, STAGE_SESSION_HIT, <u32>line, load<u32>(line, S_RULE), generation, 0, 0);
  return 0;
}

/** A TCP connection that is over, and a new one with the same tuple (RFC 9293 section 3.6.1). */
export function reopens(v: usize, line: usize): bool {
  if (load<u8>(line, S_STATE) !== ST_CLOSING || load<u32>(v, V_PROTOCOL) !== TCP) return false;
  if (load<u32>(v, V_FLAGS) & VF_LATER_FRAGMENT) return false;
  return (load<u8>(<usize>load<u32>(v, V_L4), 13) & (SYN | ACK)) === SYN;
}
