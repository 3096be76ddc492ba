/** ICMP that we send ourselves (RFC 792, RFC 1812 section 4.3): echo replies and errors. */
import { adjust, fold, sealHeader, sumBytes } from './checksum';
import { adjacencies, image, now, ports } from './context';
import { MAC_MASK, sendBack } from './ethernet';
import { ICMP, REPLY } from './l4';
import {
  ADJ_LOCAL_BVI4,
  ADJ_SHIFT,
  DROP_MTU,
  DROP_RATE_LIMIT,
  DROP_ROUTE_DROP,
  DROP_TTL,
  IMG_HOST_PORT,
  IMG_NODE4,
  MAX_PORTS,
  OUT_ECHO_REPLY,
  OUT_FRAG_NEEDED_SENT,
  OUT_REJECT_SENT,
  OUT_TTL_EXCEEDED_SENT,
  PORT_GATEWAY4,
  PORT_IP4,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_UPLINK,
  V_ADDRESS,
  V_DST,
  V_FLAGS,
  V_L3,
  V_L4,
  V_LENGTH,
  V_OUTCOME,
  V_PORTS,
  V_PROTOCOL,
  V_RX_PORT,
  V_SRC,
  V_TOTAL,
  VF_FIRST_FRAGMENT,
  VF_FROM_TUNNEL,
  VF_ICMP_ERROR,
  VF_LATER_FRAGMENT,
  VF_TUNNEL_SHIFT,
} from './layout';
import { workers } from './workers/lock';

const HEADERS: u32 = 28; // IPv4 and ICMP
/** RFC 1812 section 4.3.2.3: an error is at most 576 bytes long. */
const QUOTED: u32 = 576 - HEADERS;

/** Errors a second and at once, over all ports. */
const RATE_PER_MS: u32 = 10;
const BURST: u32 = 2_000;
let tokens: u32 = BURST;
let refilled: u32 = 0;

/** May another error be sent now? If so it is counted. */
export function withinRate(): bool {
  const elapsed = min<u32>(now - refilled, BURST);
  // Of several workers each has its part.
  tokens = min<u32>(BURST / workers, tokens + elapsed * max<u32>(RATE_PER_MS / workers, 1));
  refilled = now;
  if (tokens === 0) return false;
  tokens--;
  return true;
}

/** Our address on the side packet `v` came from, 0 = none. */
function ownAddress(v: usize): u32 {
  const flags = load<u32>(v, V_FLAGS);
  if (flags & VF_FROM_TUNNEL) {
    return load<u32>(adjacencies + ((<usize>(flags >> VF_TUNNEL_SHIFT)) << ADJ_SHIFT), ADJ_LOCAL_BVI4);
  }
  const port = ports + (load<u32>(v, V_RX_PORT) << PORT_SHIFT);
  const uplink = load<u8>(port, PORT_ROLE) === ROLE_UPLINK;
  const own = uplink ? load<u32>(port, PORT_IP4) : load<u32>(port, PORT_GATEWAY4);
  return own !== 0 ? own : load<u32>(image, IMG_NODE4);
}

/** Is `v` an echo request for an address that only the data plane has? If so it becomes the reply. */
export function answerEcho(v: usize): bool {
  const dst = load<u32>(v, V_DST);
  const hosted = load<u32>(image, IMG_HOST_PORT) < <u32>MAX_PORTS;
  let ours = false;
  if (load<u32>(v, V_FLAGS) & VF_FROM_TUNNEL) ours = dst === ownAddress(v);
  else {
    const port = ports + (load<u32>(v, V_RX_PORT) << PORT_SHIFT);
    // The node's own address is answered by the host's stack if that is attached.
    if (load<u8>(port, PORT_ROLE) === ROLE_UPLINK) ours = !hosted && dst === load<u32>(port, PORT_IP4);
    else ours = dst === load<u32>(port, PORT_GATEWAY4) || (!hosted && dst === load<u32>(image, IMG_NODE4));
  }
  if (!ours || load<u32>(v, V_PROTOCOL) !== ICMP || load<u32>(v, V_PORTS) >> 24 !== 8) return false;
  if (load<u32>(v, V_FLAGS) & (VF_FIRST_FRAGMENT | VF_LATER_FRAGMENT)) return false;
  const l3: usize = load<u32>(v, V_L3);
  const l4: usize = load<u32>(v, V_L4);
  const sender = load<u64>(load<u32>(v, V_ADDRESS), 6) & MAC_MASK;
  store<u32>(l3, dst, 12);
  store<u32>(l3, load<u32>(v, V_SRC), 16);
  const ttl: u32 = load<u8>(l3, 8);
  store<u8>(l3, 64, 8);
  store<u16>(l3, adjust(load<u16>(l3, 10), fold(<u64>(64 + (~ttl & 0xffff)))), 10);
  store<u8>(l4, 0);
  store<u16>(l4, adjust(load<u16>(l4, 2), ~8 & 0xffff), 2);
  sendBack(v, sender, OUT_ECHO_REPLY);
  return true;
}

/** Turns `v` into an ICMP error about itself, sent back to where it came from; else it is dropped as `fallback`. */
function answerError(v: usize, type: u32, code: u32, rest: u32, outcome: u32, fallback: u32): void {
  const source = ownAddress(v);
  // Never about ICMP errors or replies, nor about later fragments (RFC 1122 section 3.2.2).
  const mute =
    (load<u32>(v, V_FLAGS) & (VF_ICMP_ERROR | VF_LATER_FRAGMENT)) !== 0 || load<u32>(v, V_PROTOCOL) === REPLY;
  if (mute || source === 0) {
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
  const length = min<u32>(buffered, QUOTED);
  const l3 = quoted - HEADERS;
  store<u32>(l3, 0x45 | ((<u32>bswap<u16>(<u16>(length + HEADERS))) << 16));
  store<u32>(l3, 0, 4);
  store<u32>(l3, 64 | (ICMP << 8), 8);
  store<u32>(l3, source, 12);
  store<u32>(l3, load<u32>(v, V_SRC), 16);
  sealHeader(l3);
  store<u32>(l3, type | (code << 8), 20);
  store<u32>(l3, rest, 24);
  store<u16>(l3, ~fold(sumBytes(l3 + 20, length + 8)), 22);
  store<u32>(v, <u32>l3, V_L3);
  store<u32>(v, <u32>l3 - 14, V_ADDRESS);
  store<u32>(v, length + HEADERS + 14, V_LENGTH);
  store<u32>(v, length + HEADERS + 14, V_TOTAL);
  sendBack(v, sender, outcome);
}

/** Port unreachable: nobody serves this destination. */
export function refuse(v: usize): void {
  answerError(v, 3, 3, 0, OUT_REJECT_SENT, DROP_ROUTE_DROP);
}

/**
 * Fragmentation needed, with the next hop's MTU in bytes (RFC 1191). Sent for packets without "don't fragment" too: this data
 * plane does not fragment, and senders lower their path MTU either way.
 */
export function tooBig(v: usize, mtu: u32): void {
  answerError(v, 3, 4, (<u32>bswap<u16>(<u16>min<u32>(mtu, 65535))) << 16, OUT_FRAG_NEEDED_SENT, DROP_MTU);
}

export function ttlExceeded(v: usize): void {
  answerError(v, 11, 0, 0, OUT_TTL_EXCEEDED_SENT, DROP_TTL);
}
