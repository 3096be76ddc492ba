/**
 * IPv6 (RFC 8200): as in parse.ts, everything a later stage relies on is proved here. A packet that is good is listed and goes
 * on with OUT_IP6; neighbor discovery is dealt with at once.
 */
import { ETHERNET, MAC_MASK } from '../ethernet';
import { ICMP, parseL4, REPLY } from '../l4';
import {
  ADJ_LOCAL_BVI6,
  ADJ_LOCAL_MAC,
  DROP_IP_HEADER,
  DROP_IP_VERSION,
  DROP_IPV6,
  DROP_L4_HEADER,
  DROP_MARTIAN,
  DROP_MULTICAST,
  DROP_NOT_FOR_US,
  DROP_SHORT,
  DROP_SPOOFED,
  DROP_TTL,
  OUT_IP6,
  PORT_GATEWAY6,
  PORT_IP6,
  PORT_MAC,
  ROLE_HOST,
  ROLE_POD,
  ROLE_UPLINK,
  V_L3,
  V_LENGTH,
  V_PORTS,
  V_RX_PORT,
  V_SRC,
  V_TOTAL,
} from '../layout';
import { isLinkLocal, isMulticast, isReserved, isZero, same } from './address';
import { FRAGMENT, upper, upperAt, walk } from './extensions';
import { fragment6 } from './fragments6';
import { isForged6, isForgedByHost6 } from './judge6';
import { ICMP6, isDiscovery, parseIcmp6 } from './l4';
import { list } from './list';
import { handleNd, handleTunnelNd, onLink6 } from './nd';
import { confirm6 } from './neighbors6';
import { sessions6 } from './sessions6';

export const HEADER6: u32 = 40;

/** A frame of an interface; returns its outcome, OUT_IP6 = goes on. */
export function frame6(v: usize, port: usize, role: u32, eth: usize, length: u32, total: u32): i32 {
  const own = port + (role === ROLE_HOST ? PORT_GATEWAY6 : PORT_IP6);
  if (sessions6 === 0 || isZero(own)) return DROP_IPV6;
  const group = isForGroup(eth, load<u64>(port, PORT_MAC));
  if (group < 0) return DROP_NOT_FOR_US;
  const l3 = eth + ETHERNET;
  const outcome = header(v, l3, length - ETHERNET, total - ETHERNET, group !== 0);
  if (outcome !== 0) return outcome;
  if (isNd(v)) return discovered(v, handleNd(v, port, role, eth));
  const source = l3 + 8;
  if (isLinkLocal(source) || isLinkLocal(l3 + 24)) return DROP_MARTIAN;
  if (role === ROLE_POD) {
    if (!same(source, own)) return DROP_SPOOFED;
  } else if (role === ROLE_UPLINK) {
    if (same(source, own)) return DROP_MARTIAN;
    // Here and not only where a connection begins: no outsider may speak in one of ours.
    if (isForged6(source)) return DROP_SPOOFED;
    if (onLink6(port, source)) confirm6(source, load<u32>(v, V_RX_PORT), load<u64>(eth, 6) & MAC_MASK);
  } else if (isForgedByHost6(port, source)) return DROP_SPOOFED;
  list(v);
  return OUT_IP6;
}

/** An inner frame of a tunnel, `length` bytes of it in the first buffer. */
export function tunnelFrame6(v: usize, adjacency: usize, eth: usize, length: u32, total: u32): i32 {
  if (sessions6 === 0 || isZero(adjacency + ADJ_LOCAL_BVI6)) return DROP_IPV6;
  const group = isForGroup(eth, load<u64>(adjacency, ADJ_LOCAL_MAC));
  if (group < 0) return DROP_NOT_FOR_US;
  const l3 = eth + ETHERNET;
  const outcome = header(v, l3, length - ETHERNET, total - ETHERNET, group !== 0);
  if (outcome !== 0) return outcome;
  if (isNd(v)) return discovered(v, handleTunnelNd(v, adjacency, eth));
  if (isLinkLocal(l3 + 8) || isLinkLocal(l3 + 24)) return DROP_MARTIAN;
  list(v);
  return OUT_IP6;
}

/** Is the frame for `mac` (0), for a group (1), or for somebody else (-1)? */
function isForGroup(eth: usize, mac: u64): i32 {
  if ((load<u64>(eth) & MAC_MASK) === (mac & MAC_MASK)) return 0;
  return load<u8>(eth) & 1 ? 1 : -1;
}

/** Neighbor discovery is left unparsed: its V_PORTS is the message's first word with DISCOVERY above it. */
const DISCOVERY: u32 = 0xffff;

function isNd(v: usize): bool {
  return load<u32>(v, V_PORTS + 4) === DISCOVERY;
}

/** The packet may have become an answer: nobody is to take that for what was received. */
function discovered(v: usize, outcome: i32): i32 {
  store<u64>(v, 0, V_L3); // and V_L4
  return outcome;
}

/**
 * The fixed header at `l3` with `buffered` bytes from there in the first buffer and `total` in all, and everything up to the
 * transport header. `group`: the frame was sent to many. Returns an outcome, 0 = good.
 */
function header(v: usize, l3: usize, buffered: u32, total: u32, group: bool): i32 {
  store<u64>(v, 0, V_SRC); // and V_DST: the addresses stay in the packet
  store<u64>(v, 0, V_PORTS);
  if (buffered < HEADER6) return DROP_SHORT;
  if (load<u8>(l3) >> 4 !== 6) return DROP_IP_VERSION;
  const length = <u32>bswap<u16>(load<u16>(l3, 4)) + HEADER6;
  if (length > total) return DROP_IP_HEADER;
  if (length < buffered) {
    // Ethernet padding of short frames.
    store<u32>(v, load<u32>(v, V_LENGTH) - (buffered - length), V_LENGTH);
    store<u32>(v, load<u32>(v, V_LENGTH), V_TOTAL);
    buffered = length;
  }
  store<u64>(v, <u64>l3 | ((<u64>(l3 + HEADER6)) << 32), V_L3); // and V_L4
  const source = l3 + 8;
  const destination = l3 + 24;
  const next: u32 = load<u8>(l3, 6);
  if (isMulticast(source)) return DROP_MARTIAN;
  if (next === ICMP6 && buffered >= HEADER6 + 8 && isDiscovery(load<u8>(l3, HEADER6))) {
    store<u64>(v, ((<u64>DISCOVERY) << 32) | <u64>load<u32>(l3, HEADER6), V_PORTS);
    return 0;
  }
  if (isMulticast(destination) || group) return DROP_MULTICAST;
  if (isReserved(source) || isReserved(destination)) return DROP_MARTIAN;
  if (load<u8>(l3, 7) === 0) return DROP_TTL;
  const end = l3 + buffered;
  const outcome = walk(next, l3 + HEADER6, end);
  if (outcome !== 0) return outcome;
  const l4 = upperAt;
  store<u64>(v, <u64>l3 | ((<u64>l4) << 32), V_L3);
  const skipped = <u32>(l4 - l3);
  if (upper === FRAGMENT) return fragment6(v, l3, l4, length - skipped, buffered - skipped);
  return transport(v, l4, upper, length - skipped, buffered - skipped);
}

/** `length` bytes of payload, `buffered` of them in the first buffer. Returns an outcome, 0 = good. */
export function transport(v: usize, l4: usize, protocol: u32, length: u32, buffered: u32): i32 {
  if (protocol === ICMP6) return parseIcmp6(v, l4, buffered);
  // ICMP stands for ICMPv6 in tuples, and is none of IPv6's own protocols.
  if (protocol === ICMP || protocol === REPLY) return DROP_L4_HEADER;
  return parseL4(v, l4, protocol, length, buffered);
}
