/** ICMPv6 that we send ourselves (RFC 4443): echo replies and errors; as icmp.ts. */
import { adjust, fold, sumBytes } from '../checksum';
import { adjacencies, image, ports } from '../context';
import { encapsulate } from '../encap';
import { MAC_MASK, TYPE_IP6, writeMacs } from '../ethernet';
import { withinRate } from '../icmp';
import { ICMP } from '../l4';
import {
  ADJ_LOCAL_BVI6,
  ADJ_SHIFT,
  DROP_MTU,
  DROP_RATE_LIMIT,
  DROP_ROUTE_DROP,
  DROP_TTL,
  IMG_HOST_PORT,
  IMG_NODE6,
  MAX_PORTS,
  OUT_ECHO_REPLY,
  OUT_FRAG_NEEDED_SENT,
  OUT_REJECT_SENT,
  OUT_TTL_EXCEEDED_SENT,
  PORT_GATEWAY6,
  PORT_IP6,
  PORT_MAC,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_UPLINK,
  V_ADDRESS,
  V_FLAGS,
  V_L3,
  V_L4,
  V_LENGTH,
  V_OUTCOME,
  V_PORTS,
  V_PROTOCOL,
  V_RX_PORT,
  V_TOTAL,
  V_TX_PORT,
  VF_FIRST_FRAGMENT,
  VF_FROM_TUNNEL,
  VF_ICMP_ERROR,
  VF_LATER_FRAGMENT,
  VF_TUNNEL_SHIFT,
} from '../layout';
import { copy, isZero, same } from './address';
import { ECHO_REPLY, ECHO_REQUEST, ICMP6 } from './l4';

const HEADERS: u32 = 48; // IPv6 and ICMPv6
/** RFC 4443 section 2.4 (c): an error fits the least MTU. */
const LEAST_MTU: u32 = 1280;
const QUOTED: u32 = LEAST_MTU - HEADERS;
/** Inner Ethernet type of a frame that was just put into a tunnel. */
export const TUNNELED_TYPE: usize = 62;

const SWAP: usize = memory.data(16, 16);

/** Sends the IPv6 packet in `v` back through the port or tunnel it came by; as sendBack(). */
function sendBack6(v: usize, sender: u64, outcome: u32): void {
  const flags = load<u32>(v, V_FLAGS);
  if (flags & VF_FROM_TUNNEL) {
    const adjacency = adjacencies + ((<usize>(flags >> VF_TUNNEL_SHIFT)) << ADJ_SHIFT);
    if (!encapsulate(v, adjacency)) return;
    store<u16>(<usize>load<u32>(v, V_ADDRESS) + TUNNELED_TYPE, <u16>TYPE_IP6);
  } else {
    const rx = load<u32>(v, V_RX_PORT);
    const eth: usize = load<u32>(v, V_ADDRESS);
    writeMacs(eth, sender, load<u64>(ports + ((<usize>rx) << PORT_SHIFT), PORT_MAC));
    store<u16>(eth, <u16>TYPE_IP6, 12);
    store<u32>(v, rx, V_TX_PORT);
  }
  store<u32>(v, outcome, V_OUTCOME);
}

/** Our address on the side packet `v` came from; all zero = none. */
function ownAddress(v: usize): usize {
  const flags = load<u32>(v, V_FLAGS);
  if (flags & VF_FROM_TUNNEL) {
    return adjacencies + ((<usize>(flags >> VF_TUNNEL_SHIFT)) << ADJ_SHIFT) + ADJ_LOCAL_BVI6;
  }
  const port = ports + (load<u32>(v, V_RX_PORT) << PORT_SHIFT);
  const own = port + (load<u8>(port, PORT_ROLE) === ROLE_UPLINK ? PORT_IP6 : PORT_GATEWAY6);
  return isZero(own) ? image + IMG_NODE6 : own;
}

/** Is the packet for an address that only the data plane has? */
function isOurs(v: usize, destination: usize): bool {
  const own = ownAddress(v);
  if (load<u32>(v, V_FLAGS) & VF_FROM_TUNNEL) return same(destination, own);
  // The node's own address is answered by the host's stack if that is attached.
  const hosted = load<u32>(image, IMG_HOST_PORT) < <u32>MAX_PORTS;
  const port = ports + (load<u32>(v, V_RX_PORT) << PORT_SHIFT);
  if (load<u8>(port, PORT_ROLE) === ROLE_UPLINK) return !hosted && same(destination, port + PORT_IP6);
  return same(destination, port + PORT_GATEWAY6) || (!hosted && same(destination, image + IMG_NODE6));
}

/** Is `v` an echo request for an address that only the data plane has? If so it becomes the reply. */
export function answerEcho6(v: usize): bool {
  if (load<u32>(v, V_PROTOCOL) !== ICMP || load<u32>(v, V_PORTS) >> 24 !== ECHO_REQUEST) return false;
  if (load<u32>(v, V_FLAGS) & (VF_FIRST_FRAGMENT | VF_LATER_FRAGMENT)) return false;
  const l3: usize = load<u32>(v, V_L3);
  if (!isOurs(v, l3 + 24)) return false;
  const l4: usize = load<u32>(v, V_L4);
  const sender = load<u64>(load<u32>(v, V_ADDRESS), 6) & MAC_MASK;
  // The sum over both addresses stays.
  copy(SWAP, l3 + 8);
  copy(l3 + 8, l3 + 24);
  copy(l3 + 24, SWAP);
  store<u8>(l3, 64, 7);
  store<u8>(l4, ECHO_REPLY);
  store<u16>(l4, adjust(load<u16>(l4, 2), (~ECHO_REQUEST & 0xffff) + ECHO_REPLY), 2);
  sendBack6(v, sender, OUT_ECHO_REPLY);
  return true;
}

/** Turns `v` into an ICMPv6 error about itself, sent back to where it came from; else it is dropped as `fallback`. */
function answerError(v: usize, type: u32, code: u32, rest: u32, outcome: u32, fallback: u32): void {
  const source = ownAddress(v);
  // Never about errors (RFC 4443 section 2.4 (e)), nor about later fragments. About echo replies too: only their sender can make
  // them shorter, as nobody on the way does.
  const mute = (load<u32>(v, V_FLAGS) & (VF_ICMP_ERROR | VF_LATER_FRAGMENT)) !== 0;
  if (mute || isZero(source)) {
    store<u32>(v, fallback, V_OUTCOME);
    return;
  }
  if (!withinRate()) {
    store<u32>(v, DROP_RATE_LIMIT, V_OUTCOME);
    return;
  }
  const address: usize = load<u32>(v, V_ADDRESS);
  const sender = load<u64>(address, 6) & MAC_MASK;
  const quoted: usize = load<u32>(v, V_L3);
  const buffered = load<u32>(v, V_LENGTH) - <u32>(quoted - address);
  const length = min<u32>(buffered, QUOTED) + 8;
  const l3 = quoted - HEADERS;
  store<u32>(l3, 0x60);
  store<u32>(l3, <u32>bswap<u16>(<u16>length) | (ICMP6 << 16) | ((<u32>64) << 24), 4);
  copy(l3 + 8, source);
  copy(l3 + 24, quoted + 8);
  store<u32>(l3, type | (code << 8), 40);
  store<u32>(l3, rest, 44);
  const sum = sumBytes(l3 + 8, 32) + <u64>bswap<u16>(<u16>length) + <u64>(ICMP6 << 8);
  store<u16>(l3, ~fold(sum + sumBytes(l3 + 40, length)), 42);
  store<u32>(v, <u32>l3, V_L3);
  store<u32>(v, <u32>l3 - 14, V_ADDRESS);
  store<u32>(v, length + 54, V_LENGTH);
  store<u32>(v, length + 54, V_TOTAL);
  sendBack6(v, sender, outcome);
}

/** Port unreachable: nobody serves this destination. */
export function refuse6(v: usize): void {
  answerError(v, 1, 4, 0, OUT_REJECT_SENT, DROP_ROUTE_DROP);
}

/** Packet too big, with the next hop's MTU in bytes (RFC 8201); less than the least MTU may not be said. */
export function tooBig6(v: usize, mtu: u32): void {
  answerError(v, 2, 0, bswap<u32>(max<u32>(mtu, LEAST_MTU)), OUT_FRAG_NEEDED_SENT, DROP_MTU);
}

export function hopsExceeded(v: usize): void {
  answerError(v, 3, 0, 0, OUT_TTL_EXCEEDED_SENT, DROP_TTL);
}
