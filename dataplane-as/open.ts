/** Opening a connection: two session lines that keep what was decided. */
import { change32, fold } from './checksum';
import { generation, now, seed, tracing } from './context';
import { sessionHash } from './hash';
import { adjacency, exitRole, ROLE_TUNNEL, role, routedBack, rule, wayBack } from './judge';
import { FIN, ICMP, RST, TCP } from './l4';
import {
  DROP_SESSION_FULL,
  ROLE_HOST,
  ROLE_UPLINK,
  S_ADJACENCY,
  S_BACKEND,
  S_FLAGS,
  S_GENERATION,
  S_IP_DELTA,
  S_L4_DELTA,
  S_NEW_DST,
  S_NEW_PORTS,
  S_NEW_SRC,
  S_PACKETS,
  S_PEER,
  S_PORTS,
  S_PROTOCOL,
  S_RULE,
  S_SEEN,
  S_SERVICE,
  S_SRC,
  S_STATE,
  SESSION_STATS_BASE,
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
  V_DST,
  V_HASH,
  V_L4,
  V_PORTS,
  V_SESSION,
  V_SRC,
} from './layout';
import { countService } from './services';
import { allocate, answerKey, count } from './sessions';
import { record } from './trace';
import { newDestination, newPorts, newSource, translation } from './translation';
/** `bits`: further S_FLAGS of both lines. Returns 0 with V_SESSION set, or the outcome to drop with. */
export function open(v: usize, protocol: u32, service: u32, backend: u32, bits: u32): i32 {
  let flags = translation | bits;
  const source = load<u32>(v, V_SRC);
  const addresses = load<u64>(v, V_SRC);
  const pair = load<u32>(v, V_PORTS);
  const back = <u64>newDestination | ((<u64>newSource) << 32);
  const backKey = answerKey(newPorts, protocol);
  const forth = allocate(load<u32>(v, V_HASH), 0);
  if (forth === 0) return DROP_SESSION_FULL;
  const reply = allocate(sessionHash(back, backKey, seed), forth);
  if (reply === 0) return DROP_SESSION_FULL;
  if ((role === ROLE_UPLINK && exitRole === ROLE_HOST) || (role === ROLE_HOST && exitRole === ROLE_UPLINK)) {
    flags |= SF_KEEP_TTL;
  }
  let backFlags = flags | SF_REPLY;
  if (role === ROLE_TUNNEL && !routedBack(source)) backFlags |= SF_RETURN_TUNNEL;
  if (role === ROLE_UPLINK) backFlags |= SF_FROM_UPLINK;
  if (role === ROLE_HOST) flags |= SF_FROM_HOST;
  let state: u32 = ST_NEW;
  if (protocol === TCP && (<u32>load<u8>(<usize>load<u32>(v, V_L4), 13) & (FIN | RST)) !== 0)
    state = ST_CLOSING;

  writeLine(forth, reply, addresses, pair, protocol, state, flags, rule);
  store<u32>(forth, newSource, S_NEW_SRC);
  store<u32>(forth, newDestination, S_NEW_DST);
  store<u32>(forth, newPorts, S_NEW_PORTS);
  store<u32>(forth, adjacency, S_ADJACENCY);
  writeDeltas(forth, protocol);

  writeLine(reply, forth, back, <u32>backKey, <u32>(backKey >> 32), state, backFlags, rule);
  store<u32>(reply, load<u32>(v, V_DST), S_NEW_SRC);
  store<u32>(reply, source, S_NEW_DST);
  store<u32>(reply, rotl<u32>(pair, 16), S_NEW_PORTS);
  store<u32>(reply, wayBack(source), S_ADJACENCY);
  writeDeltas(reply, protocol);

  writeService(forth, service, backend);
  writeService(reply, service, backend);
  if (service !== 0) countService(service, 0);
  count(SS_CREATED);
  store<u64>(SESSION_STATS_BASE + SS_ACTIVE, load<u64>(SESSION_STATS_BASE + SS_ACTIVE) + 1);
  store<u32>(v, <u32>forth, V_SESSION);
  if (tracing) record(v, STAGE_SESSION_NEW, <u32>forth, rule, 0, 0, 0);
  return 0;
}

/** What both families' lines have in common. */
export function writeLine(
  line: usize,
  peer: usize,
  addresses: u64,
  pair: u32,
  protocol: u32,
  state: u32,
  bits: u32,
  decided: u32,
): void {
  store<u64>(line, addresses, S_SRC);
  store<u32>(line, pair, S_PORTS);
  store<u8>(line, protocol, S_PROTOCOL);
  store<u8>(line, state, S_STATE);
  store<u16>(line, bits, S_FLAGS);
  store<u32>(line, generation, S_GENERATION);
  store<u32>(line, <u32>peer, S_PEER);
  store<u32>(line, now, S_SEEN);
  store<u32>(line, decided, S_RULE);
  store<u32>(line, 0, S_PACKETS);
}

export function writeService(line: usize, service: u32, backend: u32): void {
  store<u32>(line, service, S_SERVICE);
  store<u32>(line, backend, S_BACKEND);
}

/** What the line's rewrite changes in checksums: IPv4 header; TCP and UDP with pseudo header; ICMP's identifier. */
function writeDeltas(line: usize, protocol: u32): void {
  const addresses =
    change32(load<u32>(line, S_SRC), load<u32>(line, S_NEW_SRC)) +
    change32(load<u32>(line, S_SRC + 4), load<u32>(line, S_NEW_DST));
  const pair = change32(load<u32>(line, S_PORTS), load<u32>(line, S_NEW_PORTS));
  store<u16>(line, fold(addresses), S_IP_DELTA);
  store<u16>(line, fold(protocol === ICMP ? pair : addresses + pair), S_L4_DELTA);
}
