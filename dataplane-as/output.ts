/** Stage 6: the Ethernet header or the tunnel's headers in front, by the adjacency of the session line. */
import { askInstead } from './arp';
import { adjacencies, adjacencyCount, ports } from './context';
import { encapsulate } from './encap';
import { MAC_MASK, writeMacs } from './ethernet';
import {
  ADJ_NEXT_HOP4,
  ADJ_PORT,
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
  VECTOR_SIZE,
} from './layout';
import { neighborMac } from './neighbors';

export function output(n: i32): void {
  for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    if (load<u32>(v, V_OUTCOME) !== 0) continue;
    const way = load<u32>(<usize>load<u32>(v, V_SESSION), S_ADJACENCY);
    if (way & <u32>S_DIRECT) {
      toPort(v, way & ~(<u32>S_DIRECT), 0);
      continue;
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
  const outcome =
    role === ROLE_POD ? OUT_FORWARD_POD : role === ROLE_HOST ? OUT_FORWARD_HOST : OUT_FORWARD_UPLINK;
  store<u32>(v, outcome, V_OUTCOME);
}
