/**
 * Stage 1: Ethernet and IPv4. Everything a later stage relies on is proved here: the headers lie inside the buffer, lengths
 * agree, the checksum is right, the addresses may be used where they come from.
 */
import { handleArp, handleTunnelArp, onLink } from './arp';
import { fold, sumBytes } from './checksum';
import { adjacencies, ports } from './context';
import { countReceived } from './counters';
import { MAC_MASK } from './ethernet';
import { fragment } from './fragments';
import { parseL4 } from './l4';
import {
  ADJ_LOCAL_MAC,
  ADJ_SHIFT,
  ADJ_VNI,
  DROP_ETHERTYPE,
  DROP_IP_CHECKSUM,
  DROP_IP_HEADER,
  DROP_IP_VERSION,
  DROP_IPV6,
  DROP_MARTIAN,
  DROP_MULTICAST,
  DROP_NOT_FOR_US,
  DROP_OPTIONS,
  DROP_PORT,
  DROP_SHORT,
  DROP_SPOOFED,
  DROP_TTL,
  DROP_VXLAN,
  MAX_PORTS,
  PORT_IP4,
  PORT_MAC,
  PORT_NONE,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_NONE,
  ROLE_POD,
  ROLE_UPLINK,
  V_ADDRESS,
  V_DST,
  V_FLAGS,
  V_HASH,
  V_L3,
  V_L4,
  V_LENGTH,
  V_OUTCOME,
  V_PORTS,
  V_PROTOCOL,
  V_RX_PORT,
  V_SRC,
  V_TOTAL,
  V_TX_PORT,
  VECTOR_BASE,
  VECTOR_SIZE,
  VF_FIRST_FRAGMENT,
  VF_FROM_TUNNEL,
  VF_LATER_FRAGMENT,
  VF_TUNNEL_SHIFT,
} from './layout';
import { confirm } from './neighbors';
import { tunnelOf } from './tunnels';

export const ETHERNET: u32 = 14;
const TYPE_IP4: u32 = 0x0008; // as loaded
const TYPE_ARP: u32 = 0x0608;
const TYPE_IP6: u32 = 0xdd86;
const UDP: u32 = 17;
const VXLAN_PORT_LOADED: u32 = 0xb512; // 4789 as loaded
const VXLAN_KEY: u32 = 16; // UDP and VXLAN headers

/** Fills the metadata of packets 0..n-1; what is wrong or answered here gets its outcome here. */
export function parse(n: i32): void {
  // Packets of one port come in runs: counted once a run.
  let current: u32 = <u32>PORT_NONE;
  let packets: u64 = 0;
  let bytes: u64 = 0;
  for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    store<u32>(v, <u32>PORT_NONE, V_TX_PORT);
    store<u64>(v, 0, V_FLAGS); // and V_OUTCOME
    store<u64>(v, 0, V_HASH); // and V_SESSION
    const rx = load<u32>(v, V_RX_PORT);
    if (rx !== current) {
      countReceived(current, packets, bytes);
      current = rx;
      packets = 0;
      bytes = 0;
    }
    const total = load<u32>(v, V_TOTAL);
    packets++;
    bytes += total;
    let outcome: u32 = DROP_PORT;
    if (rx < <u32>MAX_PORTS) {
      const port = ports + (rx << PORT_SHIFT);
      const role: u32 = load<u8>(port, PORT_ROLE);
      if (role !== ROLE_NONE) outcome = ethernet(v, port, role, total);
    }
    if (outcome !== 0) store<u32>(v, outcome, V_OUTCOME);
  }
  countReceived(current, packets, bytes);
}

/** Before the first image there is no port that a packet could have come by. */
export function refuseAll(n: i32): void {
  for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    store<u32>(v, <u32>PORT_NONE, V_TX_PORT);
    store<u64>(v, (<u64>DROP_PORT) << 32, V_FLAGS); // and V_OUTCOME
  }
}

/** Returns an outcome, 0 = goes on. */
function ethernet(v: usize, port: usize, role: u32, total: u32): i32 {
  const eth: usize = load<u32>(v, V_ADDRESS);
  const length = load<u32>(v, V_LENGTH);
  store<u64>(v, 0, V_L3); // and V_L4
  if (length < ETHERNET) return DROP_SHORT;
  if (total < length) {
    total = length;
    store<u32>(v, length, V_TOTAL);
  }
  const type: u32 = load<u16>(eth, 12);
  const ours = (load<u64>(eth) & MAC_MASK) === (load<u64>(port, PORT_MAC) & MAC_MASK);
  if (type === TYPE_IP4) {
    if (!ours) return (load<u8>(eth) & 1) !== 0 ? DROP_MULTICAST : DROP_NOT_FOR_US;
    const l3 = eth + ETHERNET;
    const outcome = ip4(v, l3, length - ETHERNET, total - ETHERNET);
    if (outcome !== 0) return outcome;
    if (role === ROLE_POD) return load<u32>(l3, 12) === load<u32>(port, PORT_IP4) ? 0 : DROP_SPOOFED;
    if (role === ROLE_UPLINK) return fromUplink(v, port, eth);
    return 0;
  }
  if (type === TYPE_ARP) {
    if (!ours && (load<u8>(eth) & 1) === 0) return DROP_NOT_FOR_US;
    return handleArp(v, port, role, eth);
  }
  return type === TYPE_IP6 ? DROP_IPV6 : DROP_ETHERTYPE;
}

/**
 * IPv4 header at `l3` (RFC 791, RFC 1122 section 3.2.1.3), with `buffered` bytes from there in the first buffer and `total` in
 * all. Returns an outcome, 0 = good. The metadata is stored in whole 64-bit words, as the next stages load it.
 */
function ip4(v: usize, l3: usize, buffered: u32, total: u32): i32 {
  if (buffered < 20) return DROP_SHORT;
  const word0 = load<u32>(l3);
  const word1 = load<u32>(l3, 4);
  const word2 = load<u32>(l3, 8);
  const src = load<u32>(l3, 12);
  const dst = load<u32>(l3, 16);
  let header: u32 = 20;
  if ((word0 & 0xff) === 0x45) {
    const sum = <u64>word0 + <u64>word1 + <u64>word2 + <u64>src + <u64>dst;
    if (fold(sum) !== 0xffff) return DROP_IP_CHECKSUM;
  } else {
    const outcome = unusual(l3, buffered);
    if (outcome !== 0) return outcome;
    header = (word0 & 15) << 2;
  }
  const length: u32 = bswap<u16>(<u16>(word0 >> 16));
  if (length < header || length > total) return DROP_IP_HEADER;
  if (length < buffered) {
    // Ethernet padding of short frames.
    store<u32>(v, load<u32>(v, V_LENGTH) - (buffered - length), V_LENGTH);
    store<u32>(v, load<u32>(v, V_LENGTH), V_TOTAL);
    buffered = length;
  }
  const from = src & 0xff;
  const to = dst & 0xff;
  if (from - 1 >= 223 || from === 127 || to === 0 || to === 127) return DROP_MARTIAN;
  if (to >= 224) return DROP_MULTICAST;
  if ((word2 & 0xff) === 0) return DROP_TTL;
  const l4 = l3 + header;
  const protocol = (word2 >> 8) & 0xff;
  store<u64>(v, <u64>l3 | ((<u64>l4) << 32), V_L3);
  store<u64>(v, <u64>src | ((<u64>dst) << 32), V_SRC);
  // As loaded: more-fragments is bit 5, the offset everything else but bits 6 and 7.
  if ((word1 & 0xff3f0000) !== 0) return fragment(v, l3, protocol, length - header, buffered - header);
  return parseL4(v, l4, protocol, length - header, buffered - header);
}

/** A first byte other than 0x45: options, or no IPv4 at all. */
function unusual(l3: usize, buffered: u32): i32 {
  const first: u32 = load<u8>(l3);
  if (first >> 4 !== 4) return DROP_IP_VERSION;
  const header = (first & 15) << 2;
  if (header < 20 || header > buffered) return DROP_IP_HEADER;
  if (fold(sumBytes(l3, header)) !== 0xffff) return DROP_IP_CHECKSUM;
  return options(l3 + 20, l3 + header);
}

/** Walks IP options: source routes are refused (RFC 7126), the others are carried along. */
function options(at: usize, end: usize): i32 {
  while (at < end) {
    const type: u32 = load<u8>(at);
    if (type === 0) return 0;
    if (type === 1) {
      at++;
      continue;
    }
    if (type === 131 || type === 137) return DROP_OPTIONS;
    if (at + 2 > end) return DROP_IP_HEADER;
    const length: u32 = load<u8>(at, 1);
    if (length < 2 || at + length > end) return DROP_IP_HEADER;
    at += length;
  }
  return 0;
}

function fromUplink(v: usize, port: usize, eth: usize): i32 {
  const src = load<u32>(v, V_SRC);
  const own = load<u32>(port, PORT_IP4);
  if (src === own) return DROP_MARTIAN;
  if (onLink(port, src)) confirm(src, load<u32>(v, V_RX_PORT), load<u64>(eth, 6) & MAC_MASK);
  if (load<u32>(v, V_PROTOCOL) !== UDP || load<u32>(v, V_DST) !== own) return 0;
  if (load<u32>(v, V_FLAGS) & (VF_FIRST_FRAGMENT | VF_LATER_FRAGMENT)) {
    // Peers set DF; the pieces of a fragmented tunnel packet cannot be judged.
    return load<u32>(v, V_PORTS) >> 16 === VXLAN_PORT_LOADED ? DROP_VXLAN : 0;
  }
  return load<u32>(v, V_PORTS) >> 16 === VXLAN_PORT_LOADED ? decapsulate(v, src) : 0;
}

/** RFC 7348. Only peers we have a tunnel to, only its VNI, only frames for our BVI. */
function decapsulate(v: usize, remote: u32): i32 {
  const l4: usize = load<u32>(v, V_L4);
  const outer = <u32>(l4 - <usize>load<u32>(v, V_ADDRESS)) + VXLAN_KEY;
  const length = load<u32>(v, V_LENGTH);
  if (length < outer + ETHERNET) return DROP_VXLAN;
  if ((load<u8>(l4, 8) & 0x08) === 0) return DROP_VXLAN;
  const index = tunnelOf(remote);
  if (index === 0) return DROP_VXLAN;
  const adjacency = adjacencies + ((<usize>index) << ADJ_SHIFT);
  if (bswap<u32>(load<u32>(l4, 12)) >> 8 !== load<u32>(adjacency, ADJ_VNI)) return DROP_VXLAN;
  const eth = l4 + VXLAN_KEY;
  store<u32>(v, <u32>eth, V_ADDRESS);
  store<u32>(v, length - outer, V_LENGTH);
  const total = load<u32>(v, V_TOTAL) - outer;
  store<u32>(v, total, V_TOTAL);
  store<u32>(v, VF_FROM_TUNNEL | (index << VF_TUNNEL_SHIFT), V_FLAGS);
  const type: u32 = load<u16>(eth, 12);
  const ours = (load<u64>(eth) & MAC_MASK) === (load<u64>(adjacency, ADJ_LOCAL_MAC) & MAC_MASK);
  if (type === TYPE_IP4) {
    if (!ours) return (load<u8>(eth) & 1) !== 0 ? DROP_MULTICAST : DROP_NOT_FOR_US;
    return ip4(v, eth + ETHERNET, length - outer - ETHERNET, total - ETHERNET);
  }
  if (type === TYPE_ARP) {
    if (!ours && (load<u8>(eth) & 1) === 0) return DROP_NOT_FOR_US;
    return handleTunnelArp(v, adjacency, eth);
  }
  return type === TYPE_IP6 ? DROP_IPV6 : DROP_ETHERTYPE;
}
