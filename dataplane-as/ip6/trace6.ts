/** Trace records of IPv6 packets: those of trace.ts, with addresses of 16 bytes. */

import { ICMP, REPLY } from '../l4';
import {
  CONTROL_BASE,
  CTL_TRACE_DST6,
  CTL_TRACE_FAMILY,
  CTL_TRACE_HEAD,
  CTL_TRACE_PORT,
  CTL_TRACE_PROTOCOL,
  CTL_TRACE_SRC6,
  STAGE_IP6,
  STAGE_RECEIVE,
  TR_DST6,
  TR_SRC6,
  TRACE_BASE,
  TRACE_CAPACITY,
  TRACE_SIZE,
  V_FLAGS,
  V_L3,
  V_PORTS,
  V_PROTOCOL,
  V_TOTAL,
  VF_TRACE,
} from '../layout';
import { matchesPort, record } from '../trace';
import { copy, isZero, same } from './address';
import { ICMP6 } from './l4';

/** Adds a record if packet `v` is being traced. An address of 0 is left out. */
export function record6(
  v: usize,
  stage: u32,
  source: usize,
  destination: usize,
  a: u32,
  b: u32,
  c: u32,
): void {
  if ((load<u32>(v, V_FLAGS) & VF_TRACE) === 0) return;
  writeAddresses(source, destination);
  record(v, stage | STAGE_IP6, a, b, c, 0, 0);
}

/** The addresses of the next record: it is finished when record() moves the head. */
function writeAddresses(source: usize, destination: usize): void {
  const head = load<u32>(CONTROL_BASE, CTL_TRACE_HEAD);
  const at: usize = TRACE_BASE + (head & (TRACE_CAPACITY - 1)) * TRACE_SIZE;
  if (source === 0) memory.fill(at + TR_SRC6, 0, 16);
  else copy(at + TR_SRC6, source);
  if (destination === 0) memory.fill(at + TR_DST6, 0, 16);
  else copy(at + TR_DST6, destination);
}

/** Is this a packet whose IPv6 header was found? */
export function isIp6(v: usize): bool {
  const l3: usize = load<u32>(v, V_L3);
  return l3 !== 0 && load<u8>(l3) >> 4 === 6;
}

/** The protocol as it is on the wire. */
function protocolOf(v: usize): u32 {
  const protocol = load<u32>(v, V_PROTOCOL);
  if (protocol === ICMP || protocol === REPLY || protocol > 255) return ICMP6;
  return protocol;
}

/** Either direction of a connection matches; fields that are 0 match all. */
export function matches6(v: usize): bool {
  if (load<u32>(CONTROL_BASE, CTL_TRACE_FAMILY) === 4) return false;
  const l3: usize = load<u32>(v, V_L3);
  const source: usize = CONTROL_BASE + CTL_TRACE_SRC6;
  const destination: usize = CONTROL_BASE + CTL_TRACE_DST6;
  const anySource = isZero(source);
  const anyDestination = isZero(destination);
  const forth = (anySource || same(source, l3 + 8)) && (anyDestination || same(destination, l3 + 24));
  const back = (anySource || same(source, l3 + 24)) && (anyDestination || same(destination, l3 + 8));
  if (!forth && !back) return false;
  const protocol = load<u32>(CONTROL_BASE, CTL_TRACE_PROTOCOL);
  if (protocol !== 0 && protocol !== protocolOf(v)) return false;
  const port = load<u32>(CONTROL_BASE, CTL_TRACE_PORT);
  return port === 0 || matchesPort(v, port);
}

/** The first record of a packet. */
export function recordReceived6(v: usize): void {
  const l3: usize = load<u32>(v, V_L3);
  writeAddresses(l3 + 8, l3 + 24);
  const pair = load<u32>(v, V_PROTOCOL) > 255 ? 0 : load<u32>(v, V_PORTS);
  record(v, STAGE_RECEIVE | STAGE_IP6, 0, 0, pair, protocolOf(v), load<u32>(v, V_TOTAL));
}
