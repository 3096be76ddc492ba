/**
 * Fragments of IPv6 (RFC 8200 section 4.5), under the rules of fragments.ts and in its table: the first one holds the whole
 * transport header (RFC 7112) and is judged, later ones borrow its ports. A fragment that is all there is (RFC 6946) is an
 * ordinary packet.
 */
import { seed } from '../context';
import { followFragment, portOf, rememberFragment } from '../fragments';
import { headerLength, ICMP, parseFirstFragment, REPLY, setKey } from '../l4';
import {
  DROP_FRAGMENT_TINY,
  DROP_L4_HEADER,
  DROP_OPTIONS,
  DROP_SPOOFED,
  PORT_IP6,
  PORT_ROLE,
  ROLE_POD,
  ROLE_UPLINK,
  V_FLAGS,
  V_L3,
  V_PORTS,
  V_PROTOCOL,
  VF_FIRST_FRAGMENT,
  VF_ICMP_ERROR,
} from '../layout';
import { same } from './address';
import { isExtension } from './extensions';
import { isForged6, isForgedByHost6 } from './judge6';
import { ICMP6, parseIcmp6 } from './l4';
import { transport } from './parse6';
import { mix } from './sessions6';

const HEADER: u32 = 8;

/** Fragment header at `at`, with `length` bytes from there, `buffered` of them in the first buffer. Returns an outcome, 0 = good. */
export function fragment6(v: usize, l3: usize, at: usize, length: u32, buffered: u32): i32 {
  if (buffered < HEADER) return DROP_FRAGMENT_TINY;
  const protocol: u32 = load<u8>(at);
  const word: u32 = bswap<u16>(load<u16>(at, 2));
  const offset = word & 0xfff8;
  // A chain that goes on behind the fragment header would be known to the first fragment only.
  if (isExtension(protocol)) return DROP_OPTIONS;
  const l4 = at + HEADER;
  store<u64>(v, <u64>l3 | ((<u64>l4) << 32), V_L3); // and V_L4
  length -= HEADER;
  buffered -= HEADER;
  if (offset === 0 && (word & 1) === 0) return transport(v, l4, protocol, length, buffered);
  if (protocol === ICMP || protocol === REPLY) return DROP_L4_HEADER;
  const needed: u32 = protocol === ICMP6 ? 8 : headerLength(protocol);
  const key = mix(l3 + 8, l3 + 24, seed ^ ((<u64>load<u32>(at, 4)) << 16));
  const id = (protocol << 16) | 0xc0000000;
  if (offset === 0) return first(v, l3, l4, protocol, needed, length, buffered, key, id);
  if (offset < needed || offset + length > 65535) return DROP_FRAGMENT_TINY;
  return followFragment(v, key, id);
}

/** As isSpoofed() for IPv4. */
function isSpoofed6(v: usize, source: usize): bool {
  const port = portOf(v);
  if (port === 0) return false;
  const role: u32 = load<u8>(port, PORT_ROLE);
  if (role === ROLE_POD) return !same(port + PORT_IP6, source);
  return role === ROLE_UPLINK ? isForged6(source) : isForgedByHost6(port, source);
}

function first(
  v: usize,
  l3: usize,
  l4: usize,
  protocol: u32,
  needed: u32,
  length: u32,
  buffered: u32,
  key: u64,
  id: u32,
): i32 {
  if (buffered < needed || length === 0) return DROP_FRAGMENT_TINY;
  store<u32>(v, load<u32>(v, V_FLAGS) | VF_FIRST_FRAGMENT, V_FLAGS);
  let outcome: i32 = 0;
  if (protocol === ICMP6) outcome = parseIcmp6(v, l4, buffered);
  else if (needed === 0) setKey(v, 0, protocol);
  else outcome = parseFirstFragment(v, l4, protocol);
  if (outcome !== 0) return outcome;
  // An ICMP error never needs to be fragmented.
  if (load<u32>(v, V_FLAGS) & VF_ICMP_ERROR) return DROP_FRAGMENT_TINY;
  if (isSpoofed6(v, l3 + 8)) return DROP_SPOOFED;
  rememberFragment(key, id, load<u32>(v, V_PORTS), load<u32>(v, V_PROTOCOL));
  return 0;
}
