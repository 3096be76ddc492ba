/**
 * ICMPv6 (RFC 4443). In session tuples its queries and replies go by the numbers that IPv4's have (ICMP, REPLY): source port =
 * identifier, destination port = type of the query.
 */
import { ICMP, REPLY, setKey } from '../l4';
import { DROP_ICMP_ERROR, DROP_L4_HEADER, V_FLAGS, VF_ICMP_ERROR } from '../layout';

export const ICMP6: u32 = 58;

export const ECHO_REQUEST: u32 = 128;
export const ECHO_REPLY: u32 = 129;

/** Router and neighbor solicitation and advertisement, redirect (RFC 4861). */
export function isDiscovery(type: u32): bool {
  return type - 133 <= 4;
}

/** Notes ports and kind of an ICMPv6 message; returns an outcome, 0 = good. */
export function parseIcmp6(v: usize, l4: usize, buffered: u32): i32 {
  if (buffered < 8) return DROP_L4_HEADER;
  const type: u32 = load<u8>(l4);
  const identifier: u32 = load<u16>(l4, 4);
  if (type === ECHO_REQUEST) {
    setKey(v, identifier | (ECHO_REQUEST << 24), ICMP);
  } else if (type === ECHO_REPLY) {
    setKey(v, (ECHO_REQUEST << 8) | (identifier << 16), REPLY);
  } else if (type - 1 <= 3) {
    // Unreachable, packet too big, time exceeded, parameter problem.
    setKey(v, 0, ICMP);
    store<u32>(v, load<u32>(v, V_FLAGS) | VF_ICMP_ERROR, V_FLAGS);
  } else {
    // Multicast listeners, node information, mobile prefixes and the like: not for a router's forwarding.
    return DROP_ICMP_ERROR;
  }
  return 0;
}
