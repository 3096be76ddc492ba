/**
 * Neighbor discovery (RFC 4861): answers solicitations, learns on the uplink, asks. We are no router that advertises itself, and
 * take no advertisement or redirect from anybody (CVE-2020-10749, CVE-2020-13401): pods are told their route by the node.
 */
import { fold, sumBytes } from '../checksum';
import { encapsulate } from '../encap';
import { MAC_MASK, TYPE_IP6, writeMacs } from '../ethernet';
import {
  ADJ_LOCAL_BVI6,
  ADJ_LOCAL_MAC,
  DROP_ND,
  DROP_SPOOFED,
  OUT_ND_LEARNED,
  OUT_ND_REPLY,
  PORT_GATEWAY6,
  PORT_IP6,
  PORT_IP6_LENGTH,
  PORT_MAC,
  ROLE_POD,
  ROLE_UPLINK,
  V_ADDRESS,
  V_L3,
  V_LENGTH,
  V_OUTCOME,
  V_RX_PORT,
  V_TOTAL,
  V_TX_PORT,
} from '../layout';
import { copy, inPrefix, isLinkLocal, isMulticast, isReserved, isZero, same } from './address';
import { ICMP6 } from './l4';
import { SOLICITATION, startNd, writeNd } from './nd-packet';
import { confirm6, learn6 } from './neighbors6';

const ADVERTISEMENT: u32 = 136;
const SOURCE_MAC: u32 = 1;
const TARGET_MAC: u32 = 2;
/** Router, solicited, override: what a gateway says when it is asked. The same unasked: to all, of an address somebody tries to take. */
const ANSWER: u32 = 0xe0;
const DEFENCE: u32 = 0xa0;
const SOLICITED: u32 = 0x40;
const ALL_NODES_MAC: u64 = 0x010000003333;

const ASKER: usize = memory.data(16, 16);
const TARGET: usize = memory.data(16, 16);
const ALL_NODES: usize = memory.data<u8>([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 16);

/** What the options said; 0 = nothing. */
let sourceMac: u64 = 0;
let targetMac: u64 = 0;

/** The rules of RFC 4861 sections 7.1.1 and 7.1.2, for solicitations and advertisements of neighbors; no other is good. */
function isGood(v: usize): bool {
  const l3: usize = load<u32>(v, V_L3);
  const end = <usize>load<u32>(v, V_ADDRESS) + <usize>load<u32>(v, V_LENGTH);
  const icmp = l3 + 40;
  if (icmp + 24 > end || load<u32>(v, V_TOTAL) !== load<u32>(v, V_LENGTH)) return false;
  const type: u32 = load<u8>(icmp);
  if (type !== SOLICITATION && type !== ADVERTISEMENT) return false;
  if (load<u8>(l3, 7) !== 255 || load<u8>(icmp, 1) !== 0) return false;
  const target = icmp + 8;
  if (isMulticast(target) || isReserved(target)) return false;
  const length = <u32>(end - icmp);
  const sum = sumBytes(l3 + 8, 32) + <u64>bswap<u16>(<u16>length) + <u64>(ICMP6 << 8);
  if (fold(sum + sumBytes(icmp, length)) !== 0xffff) return false;
  return readOptions(icmp + 24, end);
}

function readOptions(at: usize, end: usize): bool {
  sourceMac = 0;
  targetMac = 0;
  while (at < end) {
    if (at + 8 > end) return false;
    const length = (<usize>load<u8>(at, 1)) << 3;
    if (length === 0 || at + length > end) return false;
    const mac = load<u64>(at) >> 16;
    const type: u32 = load<u8>(at);
    if (type === SOURCE_MAC || type === TARGET_MAC) {
      if (length !== 8 || mac === 0 || (mac & 1) !== 0) return false;
      if (type === SOURCE_MAC) sourceMac = mac;
      else targetMac = mac;
    }
    at += length;
  }
  return true;
}

/** Frame at `eth` on a port; returns its outcome. */
export function handleNd(v: usize, port: usize, role: u32, eth: usize): i32 {
  if (!isGood(v)) return DROP_ND;
  const l3: usize = load<u32>(v, V_L3);
  const asks = load<u8>(l3, 40) === SOLICITATION;
  const target = l3 + 48;
  const source = l3 + 8;
  const station = port + PORT_IP6;
  if (role === ROLE_UPLINK)
    return asks ? solicited(v, port, eth, source, target) : advertised(v, port, eth, target);
  // Somebody else's address, or one of our own.
  if (role === ROLE_POD && !isZero(source) && !isLinkLocal(source) && !same(source, station))
    return DROP_SPOOFED;
  if (!asks) return OUT_ND_LEARNED;
  const gateway = same(target, port + PORT_GATEWAY6);
  // Stations have their address as /128: whatever they ask for is reached through us. One that asks from no address wants to
  // know whether the target is free (RFC 4862 section 5.4): all but ours is.
  if (isZero(source) ? !gateway : same(target, station) || isLinkLocal(target) || same(target, source))
    return OUT_ND_LEARNED;
  return answer(v, eth, source, target, load<u64>(port, PORT_MAC));
}

/** A solicitation on the uplink. */
function solicited(v: usize, port: usize, eth: usize, source: usize, target: usize): i32 {
  const own = port + PORT_IP6;
  if (same(source, own)) return DROP_ND;
  const forUs = same(target, own);
  const rx = load<u32>(v, V_RX_PORT);
  let learned = false;
  if (sourceMac !== 0 && !isZero(source) && onLink6(port, source))
    learned = learn6(source, rx, sourceMac, !forUs);
  if (!forUs) return learned ? OUT_ND_LEARNED : DROP_ND;
  return answer(v, eth, source, target, load<u64>(port, PORT_MAC));
}

/** An advertisement on the uplink: of a neighbor we asked for, or one that is known and has moved. */
function advertised(v: usize, port: usize, eth: usize, target: usize): i32 {
  if (same(target, port + PORT_IP6) || !onLink6(port, target)) return DROP_ND;
  const rx = load<u32>(v, V_RX_PORT);
  const l3: usize = load<u32>(v, V_L3);
  const answers = (load<u8>(l3, 44) & SOLICITED) !== 0 && same(l3 + 24, port + PORT_IP6);
  if (targetMac === 0) confirm6(target, rx, load<u64>(eth, 6) & MAC_MASK);
  else if (!learn6(target, rx, targetMac, !answers)) return DROP_ND;
  return OUT_ND_LEARNED;
}

/** Inner frame at `eth` of a tunnel: only our BVI is answered for. */
export function handleTunnelNd(v: usize, adjacency: usize, eth: usize): i32 {
  if (!isGood(v)) return DROP_ND;
  const l3: usize = load<u32>(v, V_L3);
  const target = l3 + 48;
  if (!same(target, adjacency + ADJ_LOCAL_BVI6) || isZero(l3 + 8)) return DROP_ND;
  if (load<u8>(l3, 40) !== SOLICITATION) return OUT_ND_LEARNED;
  const mac = load<u64>(adjacency, ADJ_LOCAL_MAC);
  const asker = load<u64>(eth, 6) & MAC_MASK;
  answer(v, eth, l3 + 8, target, mac);
  const inner: usize = load<u32>(v, V_ADDRESS);
  if (!encapsulate(v, adjacency)) return load<u32>(v, V_OUTCOME);
  // The template names the peer's BVI and IPv4; a kernel's VXLAN device asks with a MAC of its own.
  writeMacs(inner, asker, mac);
  store<u16>(inner, <u16>TYPE_IP6, 12);
  return OUT_ND_REPLY;
}

/** Turns the solicitation in `v` into its answer: `target` is at `mac`. */
function answer(v: usize, eth: usize, source: usize, target: usize, mac: u64): i32 {
  const asker = load<u64>(eth, 6) & MAC_MASK;
  const free = isZero(source);
  copy(ASKER, free ? ALL_NODES : source);
  copy(TARGET, target);
  const frame = startNd(v);
  writeMacs(frame, free ? ALL_NODES_MAC : asker, mac);
  writeNd(frame, ADVERTISEMENT, free ? DEFENCE : ANSWER, TARGET, ASKER, TARGET, TARGET_MAC, mac);
  store<u32>(v, load<u32>(v, V_RX_PORT), V_TX_PORT);
  return OUT_ND_REPLY;
}

/** Is the address on the link of this uplink? */
export function onLink6(port: usize, address: usize): bool {
  if (isLinkLocal(address)) return true;
  const length: u32 = load<u8>(port, PORT_IP6_LENGTH);
  // No subnet is known for the link: whatever answers there is a neighbor.
  return length === 0 || length >= 128 || inPrefix(address, port + PORT_IP6, length);
}
