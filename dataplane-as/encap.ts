/** VXLAN encapsulation (RFC 7348): the adjacency's template is copied in front, only what varies is filled in. */
import { askInstead } from './arp';
import { fold, sumHeader20 } from './checksum';
import { ports, tracing } from './context';
import { MAC_MASK } from './ethernet';
import {
  ADJ_NEXT_HOP4,
  ADJ_PORT,
  ADJ_REMOTE4,
  ADJ_TEMPLATE,
  ADJ_VNI,
  DROP_PORT,
  ENCAP_SIZE,
  MAX_PORTS,
  PORT_PEER_MAC,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_NONE,
  STAGE_ENCAP,
  V_ADDRESS,
  V_HASH,
  V_LENGTH,
  V_OUTCOME,
  V_TOTAL,
  V_TX_PORT,
} from './layout';
import { neighborMac } from './neighbors';
import { record } from './trace';

/** Outer IPv4 header's length field without the inner frame: IPv4, UDP, VXLAN. */
const OUTER: u32 = 36;
const DONT_FRAGMENT: u32 = 0x0040; // as loaded

/**
 * Puts the frame of `v` (V_ADDRESS is its Ethernet header, which the template overwrites) into the tunnel and sets
 * V_TX_PORT. False if the peer's MAC is not known: then the packet has become something else and has its outcome.
 */
export function encapsulate(v: usize, adjacency: usize): bool {
  const portIndex = load<u32>(adjacency, ADJ_PORT);
  const port = ports + ((<usize>portIndex) << PORT_SHIFT);
  if (portIndex >= <u32>MAX_PORTS || load<u8>(port, PORT_ROLE) === ROLE_NONE) {
    store<u32>(v, DROP_PORT, V_OUTCOME);
    return false;
  }
  let mac = load<u64>(port, PORT_PEER_MAC) & MAC_MASK;
  if (mac === 0) {
    let nextHop = load<u32>(adjacency, ADJ_NEXT_HOP4);
    if (nextHop === 0) nextHop = load<u32>(adjacency, ADJ_REMOTE4);
    mac = neighborMac(nextHop, portIndex);
    if (mac === 0) {
      askInstead(v, portIndex, nextHop);
      return false;
    }
  }
  const total = load<u32>(v, V_TOTAL);
  const eth = <usize>load<u32>(v, V_ADDRESS) - ENCAP_SIZE;
  v128.store(eth, v128.load(adjacency, ADJ_TEMPLATE));
  v128.store(eth, v128.load(adjacency, ADJ_TEMPLATE + 16), 16);
  v128.store(eth, v128.load(adjacency, ADJ_TEMPLATE + 32), 32);
  v128.store(eth, v128.load(adjacency, ADJ_TEMPLATE + 48), 48);
  store<u32>(eth, <u32>mac);
  store<u16>(eth, <u16>(mac >> 32), 4);
  // Identification 0 with "don't fragment" (RFC 6864). The sum is taken over the template, whose length, flags and checksum
  // are zero: reading back what was just written in other widths would stall.
  const length: u32 = bswap<u16>(<u16>(total + OUTER));
  const sum = sumHeader20(adjacency + ADJ_TEMPLATE + 14) + <u64>length + DONT_FRAGMENT;
  store<u16>(eth, length, 16);
  store<u16>(eth, DONT_FRAGMENT, 20);
  store<u16>(eth, ~fold(sum), 24);
  // RFC 7348 section 5: 49152-65535, from the flow, so that the underlay spreads flows over its paths.
  const sourcePort = 0xc000 | (load<u32>(v, V_HASH) >> 18);
  store<u16>(eth, bswap<u16>(<u16>sourcePort), 34);
  store<u16>(eth, bswap<u16>(<u16>(total + OUTER - 20)), 38);
  store<u32>(v, <u32>eth, V_ADDRESS);
  store<u32>(v, load<u32>(v, V_LENGTH) + ENCAP_SIZE, V_LENGTH);
  store<u32>(v, total + ENCAP_SIZE, V_TOTAL);
  store<u32>(v, portIndex, V_TX_PORT);
  if (tracing)
    record(
      v,
      STAGE_ENCAP,
      load<u32>(adjacency, ADJ_REMOTE4),
      load<u32>(adjacency, ADJ_VNI),
      sourcePort,
      0,
      0,
    );
  return true;
}
