/**
 * TCP, UDP, SCTP and ICMP headers: lengths and flags that cannot be are dropped, ports are noted. ICMP queries get ports of
 * their own: source = identifier, destination = type of the query; a reply carries them swapped and, so that it can never
 * stand for a query of the other side, the protocol number REPLY.
 */
import { DROP_ICMP_ERROR, DROP_L4_HEADER, V_FLAGS, V_PORTS, VF_ICMP_ERROR } from './layout';

export const ICMP: u32 = 1;
export const TCP: u32 = 6;
export const UDP: u32 = 17;
export const SCTP: u32 = 132;
/** Stands for replies to ICMP queries in session tuples; reserved by IANA and dropped on the wire. */
export const REPLY: u32 = 255;

export const FIN: u32 = 1;
export const SYN: u32 = 2;
export const RST: u32 = 4;
export const ACK: u32 = 16;

/** Bytes of header a first fragment must hold whole, 0 = protocol without a header we read. */
export function headerLength(protocol: u32): u32 {
  if (protocol === TCP) return 20;
  if (protocol === UDP || protocol === ICMP) return 8;
  return protocol === SCTP ? 12 : 0;
}

/**
 * `length` = bytes of the datagram's payload, `buffered` = those of them in the first buffer. Returns an outcome, 0 = good.
 */
export function parseL4(v: usize, l4: usize, protocol: u32, length: u32, buffered: u32): i32 {
  if (protocol === TCP) {
    if (buffered < 20) return DROP_L4_HEADER;
    const offset = (<u32>load<u8>(l4, 12) >> 4) << 2;
    if (offset < 20 || offset > length) return DROP_L4_HEADER;
    const flags: u32 = load<u8>(l4, 13);
    if ((flags & SYN) !== 0 && (flags & (FIN | RST)) !== 0) return DROP_L4_HEADER;
    if ((flags & (SYN | RST | ACK | FIN)) === 0) return DROP_L4_HEADER;
  } else if (protocol === UDP) {
    if (buffered < 8) return DROP_L4_HEADER;
    const declared: u32 = bswap<u16>(load<u16>(l4, 4));
    if (declared < 8 || declared > length) return DROP_L4_HEADER;
  } else {
    return parseOther(v, l4, protocol, buffered);
  }
  setKey(v, load<u32>(l4), protocol);
  return 0;
}

function parseOther(v: usize, l4: usize, protocol: u32, buffered: u32): i32 {
  if (protocol === ICMP) return icmp(v, l4, buffered);
  if (protocol === REPLY) return DROP_L4_HEADER;
  if (protocol === SCTP) {
    if (buffered < 12) return DROP_L4_HEADER;
    setKey(v, load<u32>(l4), protocol);
  } else {
    setKey(v, 0, protocol);
  }
  return 0;
}

/** V_PORTS and V_PROTOCOL, in one store as later stages load them. */
export function setKey(v: usize, ports: u32, protocol: u32): void {
  store<u64>(v, <u64>ports | ((<u64>protocol) << 32), V_PORTS);
}

/** Header of a first fragment: only its presence is checked, its length fields speak of the whole datagram. */
export function parseFirstFragment(v: usize, l4: usize, protocol: u32): i32 {
  if (protocol === ICMP) return icmp(v, l4, 8);
  if (protocol === TCP) {
    const flags: u32 = load<u8>(l4, 13);
    if (<u32>load<u8>(l4, 12) >> 4 < 5) return DROP_L4_HEADER;
    if ((flags & SYN) !== 0 && (flags & (FIN | RST)) !== 0) return DROP_L4_HEADER;
  }
  setKey(v, load<u32>(l4), protocol);
  return 0;
}

function icmp(v: usize, l4: usize, buffered: u32): i32 {
  if (buffered < 8) return DROP_L4_HEADER;
  const type: u32 = load<u8>(l4);
  const identifier: u32 = load<u16>(l4, 4);
  if (type === 8 || type === 13) {
    setKey(v, identifier | (type << 24), ICMP);
  } else if (type === 0 || type === 14) {
    setKey(v, ((type === 0 ? 8 : 13) << 8) | (identifier << 16), REPLY);
  } else if (type === 3 || type === 11 || type === 12) {
    setKey(v, 0, ICMP);
    store<u32>(v, load<u32>(v, V_FLAGS) | VF_ICMP_ERROR, V_FLAGS);
  } else {
    // Redirects, source quench, router advertisements and the like steer routing: nobody here may.
    return DROP_ICMP_ERROR;
  }
  return 0;
}
