/** Opening an IPv6 connection: two session lines that keep what was decided; as open.ts. */
import { change32, fold } from '../checksum';
import { tracing } from '../context';
import { ROLE_TUNNEL, role } from '../judge';
import { FIN, RST, TCP } from '../l4';
import {
  DROP_SESSION_FULL,
  ROLE_HOST,
  ROLE_UPLINK,
  S_ADJACENCY,
  S_L4_DELTA,
  S_NEW_PORTS,
  S_PORTS,
  S_SRC,
  S6_DST,
  S6_NEW_DST,
  S6_NEW_SRC,
  SESSION_STATS_BASE,
  SESSION6_BLOCK,
  SF_FROM_HOST,
  SF_FROM_UPLINK,
  SF_KEEP_TTL,
  SF_REPLY,
  SF_RETURN_TUNNEL,
  SS_ACTIVE,
  SS_CREATED,
  ST_CLOSING,
  ST_NEW,
  STAGE_SESSION_NEW,
  V_HASH,
  V_L3,
  V_L4,
  V_PORTS,
  V_SESSION,
} from '../layout';
import { writeLine, writeService } from '../open';
import { countService } from '../services';
import { answerKey, count } from '../sessions';
import { fence, workers } from '../workers/lock';
import { changeAddress, copy } from './address';
import { adjacency6, exitRole6, routedBack6, rule6, wayBack6 } from './judge6';
import { allocate6, sessionHash6 } from './sessions6';
import { record6 } from './trace6';
import { newDestination6, newPorts6, newSource6, translation6 } from './translation6';

/** `bits`: further S_FLAGS of both lines. Returns 0 with V_SESSION set, or the outcome to drop with. */
export function open6(v: usize, protocol: u32, service: u32, backend: u32, bits: u32): i32 {
  let flags = translation6 | bits;
  const l3: usize = load<u32>(v, V_L3);
  const source = l3 + 8;
  const destination = l3 + 24;
  const pair = load<u32>(v, V_PORTS);
  const backKey = answerKey(newPorts6, protocol);
  const forth = allocate6(load<u32>(v, V_HASH), 0);
  if (forth === 0) return DROP_SESSION_FULL;
  const reply = allocate6(sessionHash6(newDestination6, newSource6, backKey), forth);
  if (reply === 0) return DROP_SESSION_FULL;
  if (
    (role === ROLE_UPLINK && exitRole6 === ROLE_HOST) ||
    (role === ROLE_HOST && exitRole6 === ROLE_UPLINK)
  ) {
    flags |= SF_KEEP_TTL;
  }
  let backFlags = flags | SF_REPLY;
  if (role === ROLE_TUNNEL && !routedBack6(source)) backFlags |= SF_RETURN_TUNNEL;
  if (role === ROLE_UPLINK) backFlags |= SF_FROM_UPLINK;
  if (role === ROLE_HOST) flags |= SF_FROM_HOST;
  let state: u32 = ST_NEW;
  if (protocol === TCP && (<u32>load<u8>(<usize>load<u32>(v, V_L4), 13) & (FIN | RST)) !== 0)
    state = ST_CLOSING;

  writeLine(forth, reply, pair, protocol, state, flags, rule6);
  writeAddresses(forth, source, destination, newSource6, newDestination6);
  store<u32>(forth, newPorts6, S_NEW_PORTS);
  store<u32>(forth, adjacency6, S_ADJACENCY);
  writeDelta(forth);

  writeLine(reply, forth, <u32>backKey, <u32>(backKey >> 32), state, backFlags, rule6);
  writeAddresses(reply, newDestination6, newSource6, destination, source);
  store<u32>(reply, rotl<u32>(pair, 16), S_NEW_PORTS);
  store<u32>(reply, wayBack6(source), S_ADJACENCY);
  writeDelta(reply);

  writeService(forth, service, backend);
  writeService(reply, service, backend);
  // Last of all, as that is what other workers find them by.
  if (workers > 1) fence();
  store<u64>(forth, 1, S_SRC);
  store<u64>(reply, 1, S_SRC);
  if (service !== 0) countService(service, 0);
  count(SS_CREATED);
  store<u64>(SESSION_STATS_BASE + SS_ACTIVE, load<u64>(SESSION_STATS_BASE + SS_ACTIVE) + 1);
  store<u32>(v, <u32>forth, V_SESSION);
  if (tracing) record6(v, STAGE_SESSION_NEW, 0, 0, <u32>forth, rule6, 0);
  return 0;
}

export function writeAddresses(
  block: usize,
  source: usize,
  destination: usize,
  newSource: usize,
  newDestination: usize,
): void {
  const line = block - SESSION6_BLOCK;
  copy(line, source);
  copy(line + S6_DST, destination);
  copy(line + S6_NEW_SRC, newSource);
  copy(line + S6_NEW_DST, newDestination);
}

/** What the line's rewrite changes in checksums: all of IPv6's cover the addresses (RFC 8200 section 8.1). */
export function writeDelta(block: usize): void {
  const line = block - SESSION6_BLOCK;
  const sum =
    changeAddress(line, line + S6_NEW_SRC) +
    changeAddress(line + S6_DST, line + S6_NEW_DST) +
    change32(load<u32>(block, S_PORTS), load<u32>(block, S_NEW_PORTS));
  store<u16>(block, fold(sum), S_L4_DELTA);
}
