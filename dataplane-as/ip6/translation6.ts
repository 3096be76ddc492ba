// biome-ignore-all lint/correctness/noPrecisionLoss: these are 64-bit integers, not JavaScript numbers.
/** The translation of an IPv6 connection in the making; as translation.ts. */
import { image, ports, tracing } from '../context';
import { ROLE_TUNNEL, role } from '../judge';
import { ICMP, SCTP, TCP, UDP } from '../l4';
import {
  DROP_HOP_LOOP,
  DROP_SNAT_EXHAUSTED,
  IMG_HAIRPIN6,
  IMG_NODE6,
  IMG_SNAT6,
  PORT_GATEWAY6,
  PORT_SHIFT,
  ROLE_HOST,
  ROLE_UPLINK,
  S_STATE,
  SF_DNAT,
  SF_SNAT,
  SPACE_SNAT_EXCLUDE,
  SPACE_SNAT_SOURCE,
  ST_CLOSING,
  STAGE_SNAT,
  V_RX_PORT,
} from '../layout';
import { MISS } from '../lpm';
import { answerKey, expired, removePair } from '../sessions';
import { hides, PORT_TRIES, portFrom, portRange, portSpan } from '../translation';
import { copy, isZero, same } from './address';
import { adjacency6, exitRole6 } from './judge6';
import { lookup6 } from './lpm6';
import { findTuple6 } from './sessions6';
import { record6 } from './trace6';

/** Source and destination as they will leave: two addresses, one behind the other as in a session line. */
export const newSource6: usize = memory.data(32, 16);
export const newDestination6: usize = newSource6 + 16;
export let newPorts6: u32 = 0;
/** SF_DNAT, SF_SNAT. */
export let translation6: u32 = 0;

/** Nothing is translated yet. */
export function keepAll6(source: usize, destination: usize, pair: u32): void {
  copy(newSource6, source);
  copy(newDestination6, destination);
  newPorts6 = pair;
  translation6 = 0;
}

/** A service chose this backend (port as loaded). */
export function toBackend6(v: usize, address: usize, port: u32): void {
  copy(newDestination6, address);
  newPorts6 = (newPorts6 & 0xffff) | (port << 16);
  translation6 |= SF_DNAT;
  if (same(newDestination6, newSource6)) hairpin(v);
}

/** A station reaches itself through a service: it must see another source, or it would answer itself directly. */
function hairpin(v: usize): void {
  const own = image + IMG_HAIRPIN6;
  const port = ports + (load<u32>(v, V_RX_PORT) << PORT_SHIFT);
  copy(newSource6, isZero(own) ? port + PORT_GATEWAY6 : own);
  translation6 |= SF_SNAT;
}

/** Source NAT of what leaves by the uplink, and of what a service sends back to the host it came from. */
export function translateSource6(v: usize, source: usize): i32 {
  if (exitRole6 === ROLE_HOST && role === ROLE_HOST) hairpin(v);
  if (exitRole6 === ROLE_TUNNEL && hides(adjacency6)) {
    copy(newSource6, image + IMG_NODE6);
    translation6 |= SF_SNAT;
  }
  if (exitRole6 !== ROLE_UPLINK) return 0;
  const pool = image + IMG_SNAT6;
  const none = isZero(pool);
  if (role === ROLE_UPLINK) {
    // In and out by the uplink: the backend's reply must come back through us.
    if (none) return DROP_HOP_LOOP;
  } else if (
    none ||
    lookup6(SPACE_SNAT_SOURCE, source) === MISS ||
    lookup6(SPACE_SNAT_EXCLUDE, newDestination6) !== MISS
  ) {
    return 0;
  }
  copy(newSource6, pool);
  translation6 |= SF_SNAT;
  return 0;
}

/** Is the tuple of the replies in use by another connection? One that is over gives it up. */
function taken(protocol: u32, pair: u32): bool {
  const block = findTuple6(newDestination6, newSource6, answerKey(pair, protocol));
  if (block === 0) return false;
  if (load<u8>(block, S_STATE) !== ST_CLOSING && !expired(block)) return true;
  removePair(block);
  return false;
}

/** Keeps the source port if replies to it can be told apart, else takes another one. */
export function settlePort6(v: usize, protocol: u32): i32 {
  if (!taken(protocol, newPorts6)) return settled(v);
  if (protocol !== TCP && protocol !== UDP && protocol !== SCTP && protocol !== ICMP)
    return DROP_SNAT_EXHAUSTED;
  portRange();
  const span = portSpan;
  for (let i: u32 = 0; i < min<u32>(PORT_TRIES, span); i++) {
    const candidate = (newPorts6 & 0xffff0000) | portFrom(i);
    if (taken(protocol, candidate)) continue;
    newPorts6 = candidate;
    translation6 |= SF_SNAT;
    return settled(v);
  }
  return DROP_SNAT_EXHAUSTED;
}

function settled(v: usize): i32 {
  if (tracing && (translation6 & SF_SNAT) !== 0)
    record6(v, STAGE_SNAT, 0, newSource6, 0, newPorts6 & 0xffff, 0);
  return 0;
}
