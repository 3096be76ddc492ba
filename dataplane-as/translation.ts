// biome-ignore-all lint/correctness/noPrecisionLoss: these are 64-bit integers, not JavaScript numbers.
/**
 * The translation of a connection in the making: source, destination and ports as they will leave. The destination comes from
 * a service, the source from source NAT, the source port from what is free.
 */
import { adjacencies, image, ports, seed, tracing } from './context';
import { adjacency, exitRole, ROLE_TUNNEL, role } from './judge';
import { ICMP, SCTP, TCP, UDP } from './l4';
import {
  ADJ_HIDES_CLIENTS,
  ADJ_SHIFT,
  DROP_HOP_LOOP,
  DROP_SNAT_EXHAUSTED,
  IMG_HAIRPIN4,
  IMG_NODE4,
  IMG_SNAT_FIRST_PORT,
  IMG_SNAT_LAST_PORT,
  IMG_SNAT4,
  PORT_GATEWAY4,
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
  VXLAN_PORT,
} from './layout';
import { lookup4, MISS } from './lpm';
import { answerKey, expired, findTuple, removePair } from './sessions';
import { record } from './trace';

/** Ports tried before a source port is given up on. */
export const PORT_TRIES: u32 = 128;
/** Range for connections that only need another port than the one in use. */
const FIRST_PORT: u32 = 32768;
const LAST_PORT: u32 = 65535;

export let newSource: u32 = 0;
export let newDestination: u32 = 0;
export let newPorts: u32 = 0;
/** SF_DNAT, SF_SNAT. */
export let translation: u32 = 0;
let random: u64 = 1;
/** What portRange() found: ports from portFirst on, tried from portStart. */
export let portSpan: u32 = 1;
let portFirst: u32 = 0;
let portStart: u32 = 0;

/** Nothing is translated yet. */
export function keepAll(source: u32, destination: u32, pair: u32): void {
  newSource = source;
  newDestination = destination;
  newPorts = pair;
  translation = 0;
}

/** A service chose this backend (port as loaded). */
export function toBackend(v: usize, address: u32, port: u32): void {
  const source = newSource;
  newDestination = address;
  newPorts = (newPorts & 0xffff) | (port << 16);
  translation |= SF_DNAT;
  if (address === source) hairpin(v);
}

/** A station reaches itself through a service: it must see another source, or it would answer itself directly. */
function hairpin(v: usize): void {
  newSource = load<u32>(image, IMG_HAIRPIN4);
  if (newSource === 0) newSource = load<u32>(ports + (load<u32>(v, V_RX_PORT) << PORT_SHIFT), PORT_GATEWAY4);
  translation |= SF_SNAT;
}

/** Is this a tunnel to a peer that would answer a client of the uplink's by its own uplink, were it not for our name? */
export function hides(tunnel: u32): bool {
  return (
    role === ROLE_UPLINK && load<u8>(adjacencies + ((<usize>tunnel) << ADJ_SHIFT), ADJ_HIDES_CLIENTS) !== 0
  );
}

/** Source NAT of what leaves by the uplink, and of what a service sends back to the host it came from. */
export function translateSource(v: usize, source: u32): i32 {
  if (exitRole === ROLE_HOST && role === ROLE_HOST) hairpin(v);
  if (exitRole === ROLE_TUNNEL && hides(adjacency)) {
    newSource = load<u32>(image, IMG_NODE4);
    translation |= SF_SNAT;
  }
  if (exitRole !== ROLE_UPLINK) return 0;
  const pool = load<u32>(image, IMG_SNAT4);
  if (role === ROLE_UPLINK) {
    // In and out by the uplink: the backend's reply must come back through us.
    if (pool === 0) return DROP_HOP_LOOP;
  } else if (
    pool === 0 ||
    lookup4(SPACE_SNAT_SOURCE, source) === MISS ||
    lookup4(SPACE_SNAT_EXCLUDE, newDestination) !== MISS
  ) {
    return 0;
  }
  newSource = pool;
  translation |= SF_SNAT;
  return 0;
}

/** Is the tuple of the replies in use by another connection? One that is over gives it up. */
function taken(protocol: u32, pair: u32): bool {
  const line = findTuple(<u64>newDestination | ((<u64>newSource) << 32), answerKey(pair, protocol));
  if (line === 0) return false;
  if (load<u8>(line, S_STATE) !== ST_CLOSING && !expired(line)) return true;
  removePair(line);
  return false;
}

/** A reply to UDP port 4789 of the node would be taken for a tunnel's packet. */
function reserved(protocol: u32, pair: u32): bool {
  return protocol === UDP && exitRole === ROLE_UPLINK && <u32>bswap<u16>(<u16>pair) === VXLAN_PORT;
}

/** Keeps the source port if replies to it can be told apart, else takes another one. */
export function settlePort(v: usize, protocol: u32): i32 {
  if (!taken(protocol, newPorts) && !reserved(protocol, newPorts)) {
    if (tracing && (translation & SF_SNAT) !== 0)
      record(v, STAGE_SNAT, newSource, newPorts & 0xffff, 0, 0, 0);
    return 0;
  }
  if (protocol !== TCP && protocol !== UDP && protocol !== SCTP && protocol !== ICMP)
    return DROP_SNAT_EXHAUSTED;
  portRange();
  for (let i: u32 = 0; i < min<u32>(PORT_TRIES, portSpan); i++) {
    const candidate = (newPorts & 0xffff0000) | portFrom(i);
    if (taken(protocol, candidate) || reserved(protocol, candidate)) continue;
    newPorts = candidate;
    translation |= SF_SNAT;
    if (tracing) record(v, STAGE_SNAT, newSource, newPorts & 0xffff, 0, 0, 0);
    return 0;
  }
  return DROP_SNAT_EXHAUSTED;
}

/** Chooses where in the range of source ports the search for a free one begins. */
export function portRange(): void {
  let low = load<u32>(image, IMG_SNAT_FIRST_PORT);
  let high = load<u32>(image, IMG_SNAT_LAST_PORT);
  if (low === 0 || high < low || high > 65535) {
    low = FIRST_PORT;
    high = LAST_PORT;
  }
  random = (random + seed + 1) * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
  portFirst = low;
  portSpan = high - low + 1;
  portStart = <u32>(random >> 33) % portSpan;
}

/** The port to try after `tries` others, as loaded from a packet. */
export function portFrom(tries: u32): u32 {
  return bswap<u16>(<u16>(portFirst + ((portStart + tries) % portSpan)));
}
