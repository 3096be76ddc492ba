/** Opening a connection: two session lines that keep what was decided. */
import { change32, fold } from './checksum';
import { generation, now, seed, tracing } from './context';
import { sessionHash } from './hash';
import { adjacency, exitRole, ROLE_TUNNEL, role, routedBack, rule, wayBack } from './judge';
import { FIN, ICMP, REPLY, RST, TCP } from './l4';
import {
  DROP_SESSION_FULL,
  ROLE_HOST,
  ROLE_UPLINK,
  S_ADJACENCY,
  S_BACKEND,
  S_FLAGS,
  S_GENERATION,
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
import { allocate, answerKey, count, pave, removals } from './sessions';
import { record } from './trace';
import { newDestination, newPorts, newSource, translation } from './translation';
import { fence, workers } from './workers/lock';

/** `bits`: further S_FLAGS of both lines. Returns 0 with V_SESSION set, or the outcome to drop with. */
export function open(v: usize, protocol: u32, service: u32, backend: u32, bits: u32): i32 {
  let flags = translation | bits;
  const source = load<u32>(v, V_SRC);
  const addresses = load<u64>(v, V_SRC);
  const pair = load<u32>(v, V_PORTS);
  const back = <u64>newDestination | ((<u64>newSource) << 32);
  const backKey = answerKey(newPorts, protocol);
  const before = removals;
  const hash = load<u32>(v, V_HASH);
  const backHash = sessionHash(back, backKey, seed);
  const forth = allocate(hash, 0);
  if (forth === 0) return DROP_SESSION_FULL;
  const reply = allocate(backHash, forth);
  if (reply === 0) return DROP_SESSION_FULL;
  if (removals !== before) {
    pave(hash, forth);
    pave(backHash, reply);
  }
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

  const about = <u64>rule | ((<u64>service) << 32);
  const key = <u64>pair | ((<u64>(protocol | (state << 8) | (flags << 16))) << 32);
  const ahead = <u64>newSource | ((<u64>newDestination) << 32);
  writeWhole(forth, reply, addresses, key, ahead, newPorts, adjacency, about, backend);
  const replyKey = backKey | ((<u64>((state << 8) | (backFlags << 16))) << 32);
  const home = <u64>load<u32>(v, V_DST) | ((<u64>source) << 32);
  writeWhole(reply, forth, back, replyKey, home, rotl<u32>(pair, 16), wayBack(source), about, backend);
  if (service !== 0) countService(service, 0);
  count(SS_CREATED);
  store<u64>(SESSION_STATS_BASE + SS_ACTIVE, load<u64>(SESSION_STATS_BASE + SS_ACTIVE) + 1);
  store<u32>(v, <u32>forth, V_SESSION);
  if (tracing) record(v, STAGE_SESSION_NEW, <u32>forth, rule, 0, 0, 0);
  return 0;
}

/** What both families' lines have in common, but for the first word, by which a line is in use. */
export function writeLine(
  line: usize,
  peer: usize,
  pair: u32,
  protocol: u32,
  state: u32,
  bits: u32,
  decided: u32,
): void {
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

/**
 * A line of IPv4, in eight stores. `key`: ports, protocol, state and flags; `next` and `ports`: what the packet gets; `about`: rule and
 * service. The differences are what the rewrite changes in checksums: IPv4 header; TCP and UDP with pseudo header; ICMP's identifier.
 */
export function writeWhole(
  line: usize,
  peer: usize,
  addresses: u64,
  key: u64,
  next: u64,
  ports: u32,
  way: u32,
  about: u64,
  backend: u32,
): void {
  const changed = change32(<u32>addresses, <u32>next) + change32(<u32>(addresses >> 32), <u32>(next >> 32));
  const pair = change32(<u32>key, ports);
  const protocol = <u32>(key >> 32) & 0xff;
  const l4 = fold(protocol === ICMP || protocol === REPLY ? pair : changed + pair);
  store<u64>(line, key, S_PORTS); // and S_PROTOCOL, S_STATE, S_FLAGS
  store<u64>(line, <u64>generation | ((<u64>peer) << 32), S_GENERATION); // and S_PEER
  store<u64>(line, next, S_NEW_SRC); // and S_NEW_DST
  store<u64>(line, <u64>ports | ((<u64>(fold(changed) | (l4 << 16))) << 32), S_NEW_PORTS); // and S_IP_DELTA, S_L4_DELTA
  store<u64>(line, <u64>way | ((<u64>now) << 32), S_ADJACENCY); // and S_SEEN
  store<u64>(line, about, S_RULE); // and S_SERVICE
  store<u64>(line, <u64>backend, S_BACKEND); // and S_PACKETS, 0
  // Last of all, as that is what other workers find it by.
  if (workers > 1) fence();
  store<u64>(line, addresses, S_SRC); // and S_DST
}
