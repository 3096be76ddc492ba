// biome-ignore-all lint/correctness/noPrecisionLoss: these are 64-bit integers, not JavaScript numbers.
/**
 * The first packet of a connection: service, policy, route, source NAT, and two session lines that keep the outcome. From
 * then on the pipeline only looks up and rewrites.
 */
import { change32, fold } from './checksum';
import { generation, image, now, ports, seed, tracing } from './context';
import { sessionHash } from './hash';
import {
  adjacency,
  exitRole,
  fromPort,
  fromTunnel,
  judge,
  judgeAnswer,
  ROLE_TUNNEL,
  role,
  routedBack,
  rule,
  wayBack,
} from './judge';
import { ACK, FIN, ICMP, REPLY, RST, SCTP, SYN, TCP, UDP } from './l4';
import {
  DROP_FRAGMENT_UNKNOWN,
  DROP_HOP_LOOP,
  DROP_ICMP_ERROR,
  DROP_SESSION_FULL,
  DROP_SNAT_EXHAUSTED,
  IMG_HAIRPIN4,
  IMG_SNAT_FIRST_PORT,
  IMG_SNAT_LAST_PORT,
  IMG_SNAT4,
  PORT_GATEWAY4,
  PORT_SHIFT,
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
  SF_DNAT,
  SF_FROM_HOST,
  SF_FROM_UPLINK,
  SF_KEEP_TTL,
  SF_PICKED_UP,
  SF_REPLY,
  SF_RETURN_TUNNEL,
  SF_SNAT,
  SPACE_SNAT_EXCLUDE,
  SPACE_SNAT_SOURCE,
  SS_ACTIVE,
  SS_CREATED,
  ST_CLOSING,
  ST_NEW,
  STAGE_SESSION_NEW,
  STAGE_SNAT,
  V_DST,
  V_FLAGS,
  V_HASH,
  V_L4,
  V_PORTS,
  V_PROTOCOL,
  V_RX_PORT,
  V_SESSION,
  V_SRC,
  VF_FROM_TUNNEL,
  VF_LATER_FRAGMENT,
  VF_TUNNEL_SHIFT,
  VXLAN_PORT,
} from './layout';
import { lookup4, MISS } from './lpm';
import { backendAddress, backendId, backendPort, choose, countService, serviceOf } from './services';
import { allocate, answerKey, count, expired, findTuple, removePair } from './sessions';
import { record } from './trace';

const EPHEMERAL: u16 = 32768;
/** Ports tried before a source port is given up on. */
const PORT_TRIES: u32 = 128;
/** Range for connections that only need another port than the one in use. */
const FIRST_PORT: u32 = 32768;
const LAST_PORT: u32 = 65535;

// The connection in the making: source, destination and ports as they will leave.
let newSource: u32 = 0;
let newDestination: u32 = 0;
let newPorts: u32 = 0;
let flags: u32 = 0;
let random: u64 = 1;

/** Tells judge.ts where packet `v` came from. */
export function setOrigin(v: usize): void {
  const vf = load<u32>(v, V_FLAGS);
  if (vf & VF_FROM_TUNNEL) fromTunnel(vf >> VF_TUNNEL_SHIFT);
  else fromPort(load<u32>(v, V_RX_PORT));
}

/** Returns 0 with V_SESSION set, REJECT, or the outcome to drop with. */
export function first(v: usize): i32 {
  if (load<u32>(v, V_FLAGS) & VF_LATER_FRAGMENT) return DROP_FRAGMENT_UNKNOWN;
  const protocol = load<u32>(v, V_PROTOCOL);
  if (protocol === REPLY) return DROP_ICMP_ERROR;
  const source = load<u32>(v, V_SRC);
  const destination = load<u32>(v, V_DST);
  const pair = load<u32>(v, V_PORTS);
  newSource = source;
  newDestination = destination;
  newPorts = pair;
  flags = 0;
  setOrigin(v);
  let backend: u32 = 0;
  const service = serviceOf(destination, pair >> 16, protocol);
  if (service !== 0) {
    const outcome = choose(v, service, load<u64>(v, V_SRC), load<u64>(v, V_PORTS));
    if (outcome !== 0) return outcome;
    newDestination = backendAddress;
    newPorts = (pair & 0xffff) | (backendPort << 16);
    backend = backendId;
    flags = SF_DNAT;
    if (newDestination === source) hairpin(v);
  }
  const outcome = judge(v, source, newDestination, protocol, newPorts >> 16, service !== 0, true);
  if (outcome !== 0) return outcome;
  if (protocol === TCP && service === 0 && !starts(v) && !fromOpener(pair)) {
    const answer = judgeAnswer(v, source, destination, pair & 0xffff);
    if (answer !== 0) return answer;
    flags |= SF_PICKED_UP;
  }
  const translated = translateSource(v, source);
  if (translated !== 0) return translated;
  const settled = settlePort(v, protocol);
  if (settled !== 0) return settled;
  return open(v, protocol, service, backend);
}

/** A SYN without ACK: nothing else opens a TCP connection (RFC 9293 section 3.5). */
function starts(v: usize): bool {
  return (load<u8>(<usize>load<u32>(v, V_L4), 13) & (SYN | ACK)) === SYN;
}

/**
 * Between an ephemeral port and a lower one, who has the ephemeral port opened the connection (RFC 6335 section 6; systems
 * begin at 32768). So a client's connection survives the loss of the table although nobody may connect to the client.
 */
function fromOpener(pair: u32): bool {
  return bswap<u16>(<u16>pair) >= EPHEMERAL && bswap<u16>(<u16>(pair >> 16)) < EPHEMERAL;
}

/** A station reaches itself through a service: it must see another source, or it would answer itself directly. */
function hairpin(v: usize): void {
  newSource = load<u32>(image, IMG_HAIRPIN4);
  if (newSource === 0) newSource = load<u32>(ports + (load<u32>(v, V_RX_PORT) << PORT_SHIFT), PORT_GATEWAY4);
  flags |= SF_SNAT;
}

/** Source NAT of what leaves by the uplink, and of what a service sends back to the host it came from. */
function translateSource(v: usize, source: u32): i32 {
  if (exitRole === ROLE_HOST && role === ROLE_HOST) hairpin(v);
  if (exitRole !== ROLE_UPLINK) return 0;
  const pool = load<u32>(image, IMG_SNAT4);
  if (role === ROLE_UPLINK) {
    // In and out by the uplink: the backend's reply must come back through us.
    if (pool === 0) return DROP_HOP_LOOP;
  } else if (
    pool === 0 ||
    lookup4(SPACE_SNAT_SOURCE, source) === MISS ||
    lookup4(SPACE_SNAT_EXCLUDE, newDestination) !== MISS
  ) {
    return 0;
  }
  newSource = pool;
  flags |= SF_SNAT;
  return 0;
}

/** Is the tuple of the replies in use by another connection? One that is over gives it up. */
function taken(protocol: u32, pair: u32): bool {
  const line = findTuple(<u64>newDestination | ((<u64>newSource) << 32), answerKey(pair, protocol));
  if (line === 0) return false;
  if (load<u8>(line, S_STATE) !== ST_CLOSING && !expired(line)) return true;
  removePair(line);
  return false;
}

/** A reply to UDP port 4789 of the node would be taken for a tunnel's packet. */
function reserved(protocol: u32, pair: u32): bool {
  return protocol === UDP && exitRole === ROLE_UPLINK && <u32>bswap<u16>(<u16>pair) === VXLAN_PORT;
}

/** Keeps the source port if replies to it can be told apart, else takes another one. */
function settlePort(v: usize, protocol: u32): i32 {
  if (!taken(protocol, newPorts) && !reserved(protocol, newPorts)) {
    if (tracing && (flags & SF_SNAT) !== 0) record(v, STAGE_SNAT, newSource, newPorts & 0xffff, 0, 0, 0);
    return 0;
  }
  if (protocol !== TCP && protocol !== UDP && protocol !== SCTP && protocol !== ICMP)
    return DROP_SNAT_EXHAUSTED;
  let low = load<u32>(image, IMG_SNAT_FIRST_PORT);
  let high = load<u32>(image, IMG_SNAT_LAST_PORT);
  if (low === 0 || high < low || high > 65535) {
    low = FIRST_PORT;
    high = LAST_PORT;
  }
  const span = high - low + 1;
  random = (random + seed + 1) * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
  const start = <u32>(random >> 33) % span;
  for (let i: u32 = 0; i < min<u32>(PORT_TRIES, span); i++) {
    const candidate = (newPorts & 0xffff0000) | bswap<u16>(<u16>(low + ((start + i) % span)));
    if (taken(protocol, candidate) || reserved(protocol, candidate)) continue;
    newPorts = candidate;
    flags |= SF_SNAT;
    if (tracing) record(v, STAGE_SNAT, newSource, newPorts & 0xffff, 0, 0, 0);
    return 0;
  }
  return DROP_SNAT_EXHAUSTED;
}

/** Takes two lines and writes them. */
function open(v: usize, protocol: u32, service: u32, backend: u32): i32 {
  const source = load<u32>(v, V_SRC);
  const addresses = load<u64>(v, V_SRC);
  const pair = load<u32>(v, V_PORTS);
  const back = <u64>newDestination | ((<u64>newSource) << 32);
  const backKey = answerKey(newPorts, protocol);
  const forth = allocate(load<u32>(v, V_HASH), 0);
  if (forth === 0) return DROP_SESSION_FULL;
  const reply = allocate(sessionHash(back, backKey), forth);
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

  write(forth, reply, addresses, pair, protocol, state, flags);
  store<u32>(forth, newSource, S_NEW_SRC);
  store<u32>(forth, newDestination, S_NEW_DST);
  store<u32>(forth, newPorts, S_NEW_PORTS);
  store<u32>(forth, adjacency, S_ADJACENCY);
  writeDeltas(forth, protocol);

  write(reply, forth, back, <u32>backKey, <u32>(backKey >> 32), state, backFlags);
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

function write(
  line: usize,
  peer: usize,
  addresses: u64,
  pair: u32,
  protocol: u32,
  state: u32,
  bits: u32,
): void {
  store<u64>(line, addresses, S_SRC);
  store<u32>(line, pair, S_PORTS);
  store<u8>(line, protocol, S_PROTOCOL);
  store<u8>(line, state, S_STATE);
  store<u16>(line, bits, S_FLAGS);
  store<u32>(line, generation, S_GENERATION);
  store<u32>(line, <u32>peer, S_PEER);
  store<u32>(line, now, S_SEEN);
  store<u32>(line, rule, S_RULE);
  store<u32>(line, 0, S_PACKETS);
}

function writeService(line: usize, service: u32, backend: u32): void {
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
