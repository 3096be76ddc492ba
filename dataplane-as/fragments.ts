/**
 * Fragments. The first one must hold the whole L4 header and its ports are noted; later ones borrow them, and are dropped if
 * the first was not seen or would be overwritten by them. So policy judges every fragment by its real ports (RFC 1858,
 * RFC 3128). Fragments are forwarded as they come, never reassembled; a later one that overtakes its first one is dropped.
 */
import { now, ports, since } from './context';
import { isForgedByHost } from './from-host';
import { imageHash } from './hash';
import { isForged } from './judge';
import { headerLength, parseFirstFragment, REPLY, setKey } from './l4';
import {
  CONTROL_BASE,
  CTL_TIMEOUT_FRAGMENT,
  DROP_FRAGMENT_TINY,
  DROP_FRAGMENT_UNKNOWN,
  DROP_L4_HEADER,
  DROP_SPOOFED,
  DROP_WORKERS,
  FR_ID,
  FR_PORTS,
  FR_PROTOCOL,
  FR_SEEN,
  FR_SRC,
  FRAGMENT_CAPACITY,
  FRAGMENT_SIZE,
  FRAGMENTS_BASE,
  PORT_IP4,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_POD,
  ROLE_UPLINK,
  V_FLAGS,
  V_L4,
  V_PORTS,
  V_PROTOCOL,
  V_RX_PORT,
  V_SRC,
  VF_FIRST_FRAGMENT,
  VF_FROM_TUNNEL,
  VF_ICMP_ERROR,
  VF_LATER_FRAGMENT,
} from './layout';
import { enterIfShared, leaveIfShared } from './workers/lock';

const MASK: u32 = FRAGMENT_CAPACITY - 1;
const WINDOW: u32 = 8;

/** Returns an outcome, 0 = goes on with ports known. */
export function fragment(v: usize, l3: usize, protocol: u32, length: u32, buffered: u32): i32 {
  if (protocol === REPLY) return DROP_L4_HEADER;
  const word: u32 = bswap<u16>(load<u16>(l3, 6));
  const offset = (word & 0x1fff) << 3;
  const needed = headerLength(protocol);
  const id = <u32>load<u16>(l3, 4) | (protocol << 16) | 0x80000000;
  const addresses = load<u64>(v, V_SRC);
  if (offset === 0) {
    if (buffered < needed || length === 0) return DROP_FRAGMENT_TINY;
    store<u32>(v, load<u32>(v, V_FLAGS) | VF_FIRST_FRAGMENT, V_FLAGS);
    const l4: usize = load<u32>(v, V_L4);
    if (needed === 0) setKey(v, 0, protocol);
    const outcome = needed === 0 ? 0 : parseFirstFragment(v, l4, protocol);
    if (outcome !== 0) return outcome;
    // An ICMP error never needs to be fragmented.
    if (load<u32>(v, V_FLAGS) & VF_ICMP_ERROR) return DROP_FRAGMENT_TINY;
    if (isSpoofed(v, <u32>addresses)) return DROP_SPOOFED;
    rememberFragment(addresses, id, load<u32>(v, V_PORTS), load<u32>(v, V_PROTOCOL));
    return 0;
  }
  if (offset < needed || offset + length > 65515) return DROP_FRAGMENT_TINY;
  return followFragment(v, addresses, id);
}

/** A later fragment: it takes the ports of its first one. Returns an outcome, 0 = they are known. */
export function followFragment(v: usize, addresses: u64, id: u32): i32 {
  if (!enterIfShared()) return DROP_WORKERS;
  const entry = findFragment(addresses, id);
  if (entry !== 0) setKey(v, load<u32>(entry, FR_PORTS), load<u32>(entry, FR_PROTOCOL));
  leaveIfShared();
  if (entry === 0) return DROP_FRAGMENT_UNKNOWN;
  store<u32>(v, load<u32>(v, V_FLAGS) | VF_LATER_FRAGMENT, V_FLAGS);
  return 0;
}

/**
 * May whoever sent `v` not use that source? Asked before its fragment is noted: the ports that later ones borrow are nobody else's to
 * say.
 */
function isSpoofed(v: usize, source: u32): bool {
  const port = portOf(v);
  if (port === 0) return false;
  const role: u32 = load<u8>(port, PORT_ROLE);
  if (role === ROLE_POD) return source !== load<u32>(port, PORT_IP4);
  return role === ROLE_UPLINK ? isForged(source) : isForgedByHost(port, source);
}

/** The port that `v` came by, 0 = a tunnel. */
export function portOf(v: usize): usize {
  if (load<u32>(v, V_FLAGS) & VF_FROM_TUNNEL) return 0;
  return ports + (load<u32>(v, V_RX_PORT) << PORT_SHIFT);
}

function home(addresses: u64, id: u32): u32 {
  return imageHash(<u32>addresses ^ id, <u32>(addresses >> 32));
}

function entryAt(slot: u32): usize {
  return FRAGMENTS_BASE + (slot & MASK) * FRAGMENT_SIZE;
}

function stale(entry: usize): bool {
  return since(load<u32>(entry, FR_SEEN)) > load<u32>(CONTROL_BASE, CTL_TIMEOUT_FRAGMENT);
}

/** The entry of a first fragment that was seen, 0 = none. */
function findFragment(addresses: u64, id: u32): usize {
  const start = home(addresses, id);
  for (let i: u32 = 0; i < WINDOW; i++) {
    const entry = entryAt(start + i);
    if (load<u64>(entry, FR_SRC) === addresses && load<u32>(entry, FR_ID) === id)
      return stale(entry) ? 0 : entry;
  }
  return 0;
}

/** Notes a first fragment, in the place of the oldest of its window. */
export function rememberFragment(addresses: u64, id: u32, pair: u32, protocol: u32): void {
  if (!enterIfShared()) return;
  const start = home(addresses, id);
  let chosen: usize = 0;
  let oldest: u32 = 0;
  for (let i: u32 = 0; i < WINDOW; i++) {
    const entry = entryAt(start + i);
    if (load<u64>(entry, FR_SRC) === addresses && load<u32>(entry, FR_ID) === id) {
      chosen = entry;
      break;
    }
    const age = load<u32>(entry, FR_ID) === 0 ? <u32>0xffffffff : since(load<u32>(entry, FR_SEEN));
    if (chosen === 0 || age > oldest) {
      chosen = entry;
      oldest = age;
    }
  }
  store<u64>(chosen, addresses, FR_SRC);
  store<u32>(chosen, id, FR_ID);
  store<u32>(chosen, pair, FR_PORTS);
  store<u32>(chosen, now, FR_SEEN);
  store<u32>(chosen, protocol, FR_PROTOCOL);
  leaveIfShared();
}

/** Frees one stale entry's place (called round robin by the sweep). */
export function sweepFragment(index: u32): void {
  const entry = entryAt(index);
  if (load<u32>(entry, FR_ID) !== 0 && stale(entry)) {
    store<u64>(entry, 0, FR_SRC);
    store<u32>(entry, 0, FR_ID);
  }
}
