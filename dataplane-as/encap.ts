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
  OUT_FORWARD_TUNNEL,
  PORT_PEER_MAC,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_NONE,
  S_ADJACENCY,
  STAGE_ENCAP,
  V_ADDRESS,
  V_HASH,
  V_LENGTH,
  V_OUTCOME,
  V_SESSION,
  V_TOTAL,
  V_TX_PORT,
  VECTOR_SIZE,
} from './layout';
import { neighborMac } from './neighbors';
import { record } from './trace';

/** Outer IPv4 header's length field without the inner frame: IPv4, UDP, VXLAN. */
const OUTER: u32 = 36;
const DONT_FRAGMENT: u32 = 0x0040; // as loaded

/** The headers of the tunnel in use: the template with the peer's MAC and the flags filled in. */
const HEADERS: usize = memory.data(64, 16);

/** What V_ADDRESS, V_LENGTH and V_TOTAL, one after the other, change by. */
const MOVED: usize = memory.data<u32>([<u32>-ENCAP_SIZE, ENCAP_SIZE, ENCAP_SIZE, 0], 16);

/** Fills HEADERS from a tunnel's adjacency; returns the sum of its outer IPv4 header, which putInTunnel() needs. */
export function prepareTunnel(adjacency: usize, mac: u64): u32 {
  // In vectors, which the loads of those who put them in front of packets find as they were stored; memory.copy() is a call out of WebAssembly.
  const macs = i32x4.replace_lane(v128.load(adjacency, ADJ_TEMPLATE), 0, <u32>mac);
  v128.store(HEADERS, i16x8.replace_lane(macs, 2, <i16>(mac >> 32)));
  // Identification 0 with "don't fragment" (RFC 6864). Length and checksum are zero in the template.
  const outer = v128.load(adjacency, ADJ_TEMPLATE + 16);
  v128.store(HEADERS, i16x8.replace_lane(outer, 2, <i16>DONT_FRAGMENT), 16);
  v128.store(HEADERS, v128.load(adjacency, ADJ_TEMPLATE + 32), 32);
  v128.store(HEADERS, v128.load(adjacency, ADJ_TEMPLATE + 48), 48);
  return fold(sumHeader20(adjacency + ADJ_TEMPLATE + 14) + DONT_FRAGMENT);
}

/**
 * Puts HEADERS in front of the frame of `v` (V_ADDRESS is its Ethernet header, which they overwrite), fills in what varies and
 * sets V_TX_PORT. `sum` is what prepareTunnel() returned. Returns the outer source port.
 */
export function putInTunnel(v: usize, sum: u32, port: u32): u32 {
  const total = load<u32>(v, V_TOTAL);
  const eth = <usize>load<u32>(v, V_ADDRESS) - ENCAP_SIZE;
  v128.store(eth, v128.load(HEADERS));
  v128.store(eth, v128.load(HEADERS, 16), 16);
  v128.store(eth, v128.load(HEADERS, 32), 32);
  v128.store(eth, v128.load(HEADERS, 48), 48);
  const length: u32 = bswap<u16>(<u16>(total + OUTER));
  const checksum = sum + length;
  store<u16>(eth, length, 16);
  store<u16>(eth, ~((checksum & 0xffff) + (checksum >> 16)), 24);
  // RFC 7348 section 5: 49152-65535, from the flow, so that the underlay spreads flows over its paths.
  const sourcePort = 0xc000 | (load<u32>(v, V_HASH) >> 18);
  store<u16>(eth, bswap<u16>(<u16>sourcePort), 34);
  store<u16>(eth, bswap<u16>(<u16>(total + OUTER - 20)), 38);
  store<u32>(v, <u32>eth, V_ADDRESS);
  store<u32>(v, load<u32>(v, V_LENGTH) + ENCAP_SIZE, V_LENGTH);
  store<u32>(v, total + ENCAP_SIZE, V_TOTAL);
  store<u32>(v, port, V_TX_PORT);
  return sourcePort;
}

/**
 * Same for a run of packets without an outcome from `v` on that all go `way`, with the headers at hand. What varies is put into its vectors
 * before they are stored; and most frames begin with a cache line, so that no store here crosses from one into the next. Returns the
 * run's end.
 */
export function putRunInTunnel(v: usize, end: usize, way: u32, sum: u32, port: u32): usize {
  const h0 = v128.load(HEADERS);
  const h16 = v128.load(HEADERS, 16);
  const h32 = v128.load(HEADERS, 32);
  const h48 = load<u16>(HEADERS, 48);
  const h50 = load<u64>(HEADERS, 50);
  const h56 = load<u64>(HEADERS, 56);
  // Loaded, since V8 makes a constant of 16 bytes anew in each turn.
  const moved = v128.load(MOVED);
  for (; v < end; v += VECTOR_SIZE) {
    if (load<u32>(v, V_OUTCOME) !== 0) continue;
    if (load<u32>(<usize>load<u32>(v, V_SESSION), S_ADJACENCY) !== way) break;
    const total = load<u32>(v, V_TOTAL);
    const eth = <usize>load<u32>(v, V_ADDRESS) - ENCAP_SIZE;
    v128.store(eth, h0);
    store<u16>(eth, h48, 48);
    store<u64>(eth, h50, 50);
    store<u64>(eth, h56, 56);
    const length: u32 = bswap<u16>(<u16>(total + OUTER));
    const checksum = sum + length;
    const outer = i16x8.replace_lane(h16, 0, <i16>length);
    v128.store(eth, i16x8.replace_lane(outer, 4, <i16>~(checksum + (checksum >> 16))), 16);
    const udp = i16x8.replace_lane(h32, 1, <i16>bswap<u16>(<u16>(0xc000 | (load<u32>(v, V_HASH) >> 18))));
    v128.store(eth, i16x8.replace_lane(udp, 3, <i16>bswap<u16>(<u16>(total + OUTER - 20))), 32);
    v128.store(v, i32x4.add(v128.load(v, V_ADDRESS), moved), V_ADDRESS);
    store<u32>(v, port, V_TX_PORT);
    store<u32>(v, OUT_FORWARD_TUNNEL, V_OUTCOME);
  }
  return v;
}

/**
 * Puts one packet into the tunnel. False if the peer's MAC is not known: then the packet has become something else and has its
 * outcome.
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
  const sourcePort = putInTunnel(v, prepareTunnel(adjacency, mac), portIndex);
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
