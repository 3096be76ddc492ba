/** Stages 5 and 6 for IPv6: what the session line says is done to the packet, then it leaves; as forward.ts and output.ts. */
import { adjust } from '../checksum';
import { adjacencies, adjacencyCount, now, ports, tracing } from '../context';
import { encapsulate } from '../encap';
import { MAC_MASK, TYPE_IP6, writeMacs } from '../ethernet';
import { endFollowing, follow, limitOf, rewriteOther } from '../forward';
import { FIN, RST, TCP } from '../l4';
import {
  ADJ_NEXT_HOP6,
  ADJ_PORT,
  ADJ_SHIFT,
  ADJ_TYPE,
  ADJ_TYPE_PORT,
  ADJ_TYPE_TUNNEL,
  DROP_FRAGMENT_UNKNOWN,
  DROP_NO_ROUTE,
  DROP_PORT,
  MAX_PORTS,
  OUT_FORWARD_TUNNEL,
  PORT_MAC,
  PORT_PEER_MAC,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_NONE,
  S_ADJACENCY,
  S_DIRECT,
  S_FLAGS,
  S_L4_DELTA,
  S_NEW_PORTS,
  S_PACKETS,
  S_SEEN,
  S_SERVICE,
  S_STATE,
  S6_NEW_SRC,
  SESSION6_BLOCK,
  SF_DNAT,
  SF_KEEP_TTL,
  SF_SNAT,
  ST_ESTABLISHED,
  STAGE_REWRITE,
  V_ADDRESS,
  V_FLAGS,
  V_L3,
  V_L4,
  V_OUTCOME,
  V_PROTOCOL,
  V_SESSION,
  V_TX_PORT,
  VF_ICMP_ERROR,
  VF_LATER_FRAGMENT,
} from '../layout';
import { longestSent } from '../offload';
import { forwarded } from '../output';
import { countService } from '../services';
import { copy, isZero } from './address';
import { hopsExceeded, TUNNELED_TYPE, tooBig6 } from './icmp6';
import { entry, listed } from './list';
import { askInstead6 } from './nd-packet';
import { neighborMac6 } from './neighbors6';
import { record6 } from './trace6';

export function forward6(): void {
  for (let i: u32 = 0; i < listed; i++) {
    const v = entry(i);
    if (load<u32>(v, V_OUTCOME) === 0) rewrite(v);
    endFollowing();
    if (load<u32>(v, V_OUTCOME) === 0) leave(v);
  }
}

function rewrite(v: usize): void {
  const block: usize = load<u32>(v, V_SESSION);
  const l3: usize = load<u32>(v, V_L3);
  const l4: usize = load<u32>(v, V_L4);
  const vf = load<u32>(v, V_FLAGS);
  const protocol = load<u32>(v, V_PROTOCOL);
  const mtu = limitOf(load<u32>(block, S_ADJACENCY));
  const length = <u32>bswap<u16>(load<u16>(l3, 4)) + 40;
  if (length > mtu && longestSent(v, length) > mtu) {
    tooBig6(v, mtu);
    return;
  }
  const bits: u32 = load<u16>(block, S_FLAGS);
  const hop: u32 = bits & SF_KEEP_TTL ? 0 : 1;
  const limit: u32 = load<u8>(l3, 7);
  if (limit <= hop) {
    hopsExceeded(v);
    return;
  }
  if ((bits & (SF_DNAT | SF_SNAT)) !== 0 && (vf & VF_ICMP_ERROR) === 0) {
    if ((vf & VF_LATER_FRAGMENT) !== 0) {
      // Nothing of the transport header is in it.
    } else if (protocol === TCP) {
      store<u32>(l4, load<u32>(block, S_NEW_PORTS));
      store<u16>(l4, adjust(load<u16>(l4, 16), load<u16>(block, S_L4_DELTA)), 16);
    } else if (!rewriteOther(l4, block, protocol, vf, length - <u32>(l4 - l3))) {
      store<u32>(v, DROP_FRAGMENT_UNKNOWN, V_OUTCOME);
      return;
    }
    const line = block - SESSION6_BLOCK;
    copy(l3 + 8, line + S6_NEW_SRC);
    copy(l3 + 24, line + S6_NEW_SRC + 16);
  }
  store<u8>(l3, limit - hop, 7);
  store<u32>(block, now, S_SEEN);
  store<u32>(block, load<u32>(block, S_PACKETS) + 1, S_PACKETS);
  if (
    load<u8>(block, S_STATE) !== ST_ESTABLISHED ||
    (protocol === TCP && (load<u8>(l4, 13) & (FIN | RST)) !== 0)
  )
    follow(block, l4, protocol, vf);
  const service = load<u32>(block, S_SERVICE);
  if (service !== 0) countService(service, 8);
  if (tracing) record6(v, STAGE_REWRITE, l3 + 8, l3 + 24, 0, 0, load<u32>(block, S_NEW_PORTS));
}

/** Sends one packet its way, or turns it into the question for its neighbor. */
function leave(v: usize): void {
  const way = load<u32>(<usize>load<u32>(v, V_SESSION), S_ADJACENCY);
  if (way & <u32>S_DIRECT) {
    toPort(v, way & ~(<u32>S_DIRECT), 0);
    return;
  }
  const adjacency = adjacencies + ((<usize>way) << ADJ_SHIFT);
  const type: u32 = way < adjacencyCount ? load<u8>(adjacency, ADJ_TYPE) : 0;
  if (type === ADJ_TYPE_TUNNEL) {
    if (!encapsulate(v, adjacency)) return;
    // The template says IPv4.
    store<u16>(<usize>load<u32>(v, V_ADDRESS) + TUNNELED_TYPE, <u16>TYPE_IP6);
    store<u32>(v, OUT_FORWARD_TUNNEL, V_OUTCOME);
  } else if (type === ADJ_TYPE_PORT) {
    toPort(v, load<u32>(adjacency, ADJ_PORT), adjacency + ADJ_NEXT_HOP6);
  } else {
    store<u32>(v, DROP_NO_ROUTE, V_OUTCOME);
  }
}

/** `nextHop` 0 or all zero = the packet's own destination. */
function toPort(v: usize, index: u32, nextHop: usize): void {
  const port = ports + ((<usize>index) << PORT_SHIFT);
  const role: u32 = index < <u32>MAX_PORTS ? load<u8>(port, PORT_ROLE) : ROLE_NONE;
  if (role === ROLE_NONE) {
    store<u32>(v, DROP_PORT, V_OUTCOME);
    return;
  }
  let mac = load<u64>(port, PORT_PEER_MAC) & MAC_MASK;
  if (mac === 0) {
    if (nextHop === 0 || isZero(nextHop)) nextHop = <usize>load<u32>(v, V_L3) + 24;
    mac = neighborMac6(nextHop, index);
    if (mac === 0) {
      askInstead6(v, index, nextHop);
      return;
    }
  }
  writeMacs(load<u32>(v, V_ADDRESS), mac, load<u64>(port, PORT_MAC));
  store<u32>(v, index, V_TX_PORT);
  store<u32>(v, forwarded(role), V_OUTCOME);
}
