/** Stage 6: the Ethernet header or the tunnel's headers in front, by the adjacency of the session line. */
import { askInstead } from './arp';
import { adjacencies, adjacencyCount, ports, tracing } from './context';
import { encapsulate, prepareTunnel, putRunInTunnel } from './encap';
import { MAC_MASK, writeMacs } from './ethernet';
import {
  ADJ_NEXT_HOP4,
  ADJ_PORT,
  ADJ_REMOTE4,
  ADJ_SHIFT,
  ADJ_TYPE,
  ADJ_TYPE_PORT,
  ADJ_TYPE_TUNNEL,
  DROP_NO_ROUTE,
  DROP_PORT,
  MAX_PORTS,
  OUT_FORWARD_HOST,
  OUT_FORWARD_POD,
  OUT_FORWARD_TUNNEL,
  OUT_FORWARD_UPLINK,
  PORT_MAC,
  PORT_PEER_MAC,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_HOST,
  ROLE_NONE,
  ROLE_POD,
  S_ADJACENCY,
  S_DIRECT,
  V_ADDRESS,
  V_L3,
  V_OUTCOME,
  V_SESSION,
  V_TX_PORT,
  VECTOR_BASE,
  VECTOR_SHIFT,
  VECTOR_SIZE,
} from './layout';
import { neighborMac } from './neighbors';

/** What prepare() found for a way: this packet decides by itself, a tunnel, or a port whose MACs are known. */
const EACH: u32 = 0;
const TUNNEL: u32 = 1;
const PORT: u32 = 2;

let wayPort: u32 = 0;
/** TUNNEL: the sum of the outer IPv4 header without its length. PORT: the outcome. */
let wayWord: u32 = 0;
/** PORT: the first 8 and the next 4 bytes of the Ethernet header. */
let wayMacs: u64 = 0;
let wayRest: u32 = 0;

/** Packets of one way come in runs: what they have in common is made ready once a run, and their loop calls nothing. */
export function output(n: i32): void {
  const end = <usize>VECTOR_BASE + ((<usize>n) << VECTOR_SHIFT);
  for (let v: usize = VECTOR_BASE; v < end; ) {
    if (load<u32>(v, V_OUTCOME) !== 0) {
      v += VECTOR_SIZE;
      continue;
    }
    const way = load<u32>(<usize>load<u32>(v, V_SESSION), S_ADJACENCY);
    const kind = prepare(way);
    if (kind === TUNNEL) {
      v = putRunInTunnel(v, end, way, wayWord, wayPort);
    } else if (kind === PORT) {
      v = putRunOnPort(v, end, way);
    } else {
      each(v, way);
      v += VECTOR_SIZE;
    }
  }
}

function putRunOnPort(v: usize, end: usize, way: u32): usize {
  const macs = wayMacs;
  const rest = wayRest;
  const port = wayPort;
  const outcome = wayWord;
  for (; v < end; v += VECTOR_SIZE) {
    if (load<u32>(v, V_OUTCOME) !== 0) continue;
    if (load<u32>(<usize>load<u32>(v, V_SESSION), S_ADJACENCY) !== way) break;
    const eth: usize = load<u32>(v, V_ADDRESS);
    store<u64>(eth, macs);
    store<u32>(eth, rest, 8);
    store<u32>(v, port, V_TX_PORT);
    store<u32>(v, outcome, V_OUTCOME);
  }
  return v;
}

/** Makes a way ready if all its packets get the same headers; a trace wants to see each by itself. */
function prepare(way: u32): u32 {
  if (tracing) return EACH;
  let nextHop: u32 = 0;
  let adjacency: usize = 0;
  let type: u32 = ADJ_TYPE_PORT;
  wayPort = way & ~(<u32>S_DIRECT);
  if ((way & <u32>S_DIRECT) === 0) {
    if (way >= adjacencyCount) return EACH;
    adjacency = adjacencies + ((<usize>way) << ADJ_SHIFT);
    type = load<u8>(adjacency, ADJ_TYPE);
    wayPort = load<u32>(adjacency, ADJ_PORT);
    nextHop = load<u32>(adjacency, ADJ_NEXT_HOP4);
  }
  if (wayPort >= <u32>MAX_PORTS) return EACH;
  const port = ports + ((<usize>wayPort) << PORT_SHIFT);
  const role: u32 = load<u8>(port, PORT_ROLE);
  if (role === ROLE_NONE) return EACH;
  if (type === ADJ_TYPE_TUNNEL && nextHop === 0) nextHop = load<u32>(adjacency, ADJ_REMOTE4);
  let mac = load<u64>(port, PORT_PEER_MAC) & MAC_MASK;
  // On a link each destination has a MAC of its own.
  if (mac === 0 && nextHop !== 0) mac = neighborMac(nextHop, wayPort);
  if (mac === 0) return EACH;
  if (type === ADJ_TYPE_TUNNEL) {
    wayWord = prepareTunnel(adjacency, mac);
    return TUNNEL;
  }
  if (type !== ADJ_TYPE_PORT) return EACH;
  const source = load<u64>(port, PORT_MAC);
  wayMacs = mac | (source << 48);
  wayRest = <u32>(source >> 16);
  wayWord = forwarded(role);
  return PORT;
}

/** The outcome of a packet that leaves by a port of this role. */
export function forwarded(role: u32): u32 {
  return role === ROLE_POD ? OUT_FORWARD_POD : role === ROLE_HOST ? OUT_FORWARD_HOST : OUT_FORWARD_UPLINK;
}

/** Sends one packet its way, or turns it into the question for its neighbor. */
function each(v: usize, way: u32): void {
  if (way & <u32>S_DIRECT) {
    toPort(v, way & ~(<u32>S_DIRECT), 0);
    return;
  }
  const adjacency = adjacencies + ((<usize>way) << ADJ_SHIFT);
  const type: u32 = way < adjacencyCount ? load<u8>(adjacency, ADJ_TYPE) : 0;
  if (type === ADJ_TYPE_TUNNEL) {
    if (encapsulate(v, adjacency)) store<u32>(v, OUT_FORWARD_TUNNEL, V_OUTCOME);
  } else if (type === ADJ_TYPE_PORT) {
    toPort(v, load<u32>(adjacency, ADJ_PORT), load<u32>(adjacency, ADJ_NEXT_HOP4));
  } else {
    store<u32>(v, DROP_NO_ROUTE, V_OUTCOME);
  }
}

/** `nextHop` 0 = the packet's own destination. */
function toPort(v: usize, index: u32, nextHop: u32): void {
  const port = ports + ((<usize>index) << PORT_SHIFT);
  const role: u32 = index < <u32>MAX_PORTS ? load<u8>(port, PORT_ROLE) : ROLE_NONE;
  if (role === ROLE_NONE) {
    store<u32>(v, DROP_PORT, V_OUTCOME);
    return;
  }
  let mac = load<u64>(port, PORT_PEER_MAC) & MAC_MASK;
  if (mac === 0) {
    if (nextHop === 0) nextHop = load<u32>(<usize>load<u32>(v, V_L3), 16);
    mac = neighborMac(nextHop, index);
    if (mac === 0) {
      askInstead(v, index, nextHop);
      return;
    }
  }
  const eth: usize = load<u32>(v, V_ADDRESS);
  writeMacs(eth, mac, load<u64>(port, PORT_MAC));
  store<u32>(v, index, V_TX_PORT);
  store<u32>(v, forwarded(role), V_OUTCOME);
}
