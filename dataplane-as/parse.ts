// biome-ignore-all lint/correctness/noPrecisionLoss: these are 64-bit integers, not JavaScript numbers.
/**
 * Stage 1: Ethernet and IPv4. Everything a later stage relies on is proved here: the headers lie inside the buffer, lengths
 * agree, the checksum is right, the addresses may be used where they come from.
 */
import { handleArp } from './arp';
import { ports } from './context';
import { countReceived } from './counters';
import { fromUplink, insideTunnel, takeFromUplink } from './decap';
import { ETHERNET, MAC_MASK, TYPE_ARP, TYPE_IP4, TYPE_IP6 } from './ethernet';
import { isForgedByHost, takeFromHost } from './from-host';
import { frame6 } from './ip6/parse6';
import { ip4 } from './ipv4';
import { TCP, UDP } from './l4';
import {
  DROP_ETHERTYPE,
  DROP_MULTICAST,
  DROP_NOT_FOR_US,
  DROP_PORT,
  DROP_SHORT,
  DROP_SPOOFED,
  MARTIANS_BASE,
  MAX_PORTS,
  PORT_IP4,
  PORT_MAC,
  PORT_NONE,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_HOST,
  ROLE_NONE,
  ROLE_POD,
  ROLE_UPLINK,
  V_ADDRESS,
  V_FLAGS,
  V_HASH,
  V_L3,
  V_L4,
  V_LENGTH,
  V_OUTCOME,
  V_PORTS,
  V_RX_PORT,
  V_SRC,
  V_TOTAL,
  V_TX_PORT,
  VECTOR_BASE,
  VECTOR_CAPACITY,
  VECTOR_SHIFT,
  VECTOR_SIZE,
  VF_FROM_TUNNEL,
} from './layout';

const TYPE: u32 = 12;
const IP_END: u32 = 34;
/**
 * Bit n: TCP with these five flags may not be (l4.ts says the same in words): none of FIN, SYN, RST and ACK is set, or SYN comes
 * with FIN or RST.
 */
const NO_TCP_KINDS: u32 = 0xc8c8c9c9;
/**
 * The inverse of 65535 modulo 2^64: a sum of header words that is a multiple of 65535, and only that, gives a quotient with it
 * that is small. So one multiplication tells that a checksum is right.
 */
const CHECKSUM_QUOTIENT: u64 = 0xfffefffefffeffff;
/**
 * What the 16 bytes of a frame from its type on say, in words, the packet's length in our order: type, version and header length; the packet's
 * length; TTL, and "more fragments" with the offset (the bits of FIELDS). From the second V_LENGTH is taken (of the 16 bytes of a vector line
 * from V_ADDRESS on); then each must be between LEAST and MOST.
 */
const ORDER: usize = memory.data<u8>([0, 1, 2, 16, 5, 4, 16, 16, 10, 8, 9, 16, 16, 16, 16, 16], 16);
const FIELDS: usize = memory.data<u32>([0xffffff, 0xffff, 0xff3fff, 0], 16);
const LENGTH_ALONE: usize = memory.data<u32>([0, 0xffffffff, 0, 0], 16);
const LEAST: usize = memory.data<u32>([0x450008, <u32>-ETHERNET, 1, 0], 16);
const MOST: usize = memory.data<u32>([0x450008, <u32>-ETHERNET, 255, 0], 16);
/** Packets that the fast pass left, as addresses of their vector lines, and the end of their list. */
const ODD: usize = memory.data(VECTOR_CAPACITY * 4, 16);
let oddEnd: usize = ODD;
/** V_OUTCOME of a packet on that list. */
const UNDECIDED: u32 = 0xffffffff;

/** Writes the table of first bytes; call once. */
export function prepareParse(): void {
  for (let i: u32 = 0; i < 256; i++) store<u8>(i, i === 0 || i === 127 || i >= 224 ? 1 : 0, MARTIANS_BASE);
}

/**
 * Fills the metadata of packets 0..n-1; what is wrong or answered here gets its outcome here. A packet of the usual kind (our
 * MAC, no options, no fragment, TCP or UDP, all fields plausible) is proved good by prove(); any other is looked at again by
 * ethernet(), which says what is wrong with it.
 */
export function parse(n: i32): void {
  const end = <usize>VECTOR_BASE + ((<usize>n) << VECTOR_SHIFT);
  oddEnd = ODD;
  // Packets of one port come in runs: its record is read, and they are counted, once a run.
  for (let v: usize = VECTOR_BASE; v < end; ) {
    const rx = load<u32>(v, V_RX_PORT);
    const next = endOfRun(v + VECTOR_SIZE, end, rx);
    const role = roleOf(rx);
    if (role === ROLE_NONE) refuse(v, next);
    else {
      const port = portOf(rx);
      const only: u32 = role === ROLE_POD ? 0xffffffff : 0;
      const bytes = prove(v, next, load<u64>(port, PORT_MAC), load<u32>(port, PORT_IP4), only, 0);
      countReceived(rx, (next - v) >> VECTOR_SHIFT, bytes);
      if (role === ROLE_UPLINK) takeFromUplink(v, next, port);
      else if (role === ROLE_HOST) takeFromHost(v, next, port);
    }
    v = next;
  }
  for (let at = ODD; at < oddEnd; at += 4) look(load<u32>(at));
}

/**
 * Where packets of another port than `rx` begin, from `v` on. Four at a time as long as they are all of this one: entries behind the last
 * packet are looked at too.
 */
function endOfRun(v: usize, end: usize, rx: u32): usize {
  while (v < end) {
    const others =
      (load<u32>(v, V_RX_PORT) ^ rx) |
      (load<u32>(v, VECTOR_SIZE + V_RX_PORT) ^ rx) |
      (load<u32>(v, 2 * VECTOR_SIZE + V_RX_PORT) ^ rx) |
      (load<u32>(v, 3 * VECTOR_SIZE + V_RX_PORT) ^ rx);
    if (others !== 0) break;
    v += 4 * VECTOR_SIZE;
  }
  while (v < end && load<u32>(v, V_RX_PORT) === rx) v += VECTOR_SIZE;
  return min<usize>(v, end);
}

/**
 * The fast pass over packets of one port or tunnel, vector lines `v` to `end`: frames must be for `mac`, and sent from the
 * address `station` in the bits of `only`. `flags` becomes V_FLAGS. One branch for all proofs and no calls, so that values stay in
 * registers; all that is known before the protocol goes into `wrong` at once, and four fields are proved in one vector, since V8 has hardly
 * enough of them. Returns the bytes of all packets.
 */
export function prove(v: usize, end: usize, mac: u64, station: u32, only: u32, flags: u64): u64 {
  const order = v128.load(ORDER);
  const known = v128.load(FIELDS);
  const lengthAlone = v128.load(LENGTH_ALONE);
  const least = v128.load(LEAST);
  const most = v128.load(MOST);
  let totals = i32x4.splat(0);
  for (; v < end; v += VECTOR_SIZE) {
    const eth: usize = load<u32>(v, V_ADDRESS);
    const length = load<u32>(v, V_LENGTH);
    const lengths = v128.load(v, V_ADDRESS); // and V_LENGTH, V_TOTAL
    totals = i32x4.add(totals, lengths);
    store<u32>(v, <u32>PORT_NONE, V_TX_PORT);
    store<u64>(v, flags, V_FLAGS); // and V_OUTCOME
    // What is read before the length is known to suffice lies in the frame's memory, and is not used then.
    const fields = i32x4.sub(
      v128.and(i8x16.swizzle(v128.load(eth, TYPE), order), known),
      v128.and(lengths, lengthAlone),
    );
    const outside = i32x4.bitmask(v128.or(i32x4.sub(fields, least), i32x4.sub(most, fields)));
    const middle = load<u64>(eth, ETHERNET + 4);
    const addresses = load<u64>(eth, ETHERNET + 12);
    const sum =
      <u64>load<u32>(eth, ETHERNET) +
      (middle & 0xffffffff) +
      (middle >> 32) +
      (addresses & 0xffffffff) +
      (addresses >> 32);
    const second = <u32>(middle >> 32); // TTL, protocol, checksum
    // If the lengths agree this is the length of the payload; if not the packet is odd anyway.
    const payload = length - IP_END;
    // Lengths are far below 2^31: the sign tells which is less.
    const behind = load<u32>(v, V_TOTAL) - length;
    let wrong: u64 =
      ((load<u64>(eth) ^ mac) << 16) |
      ((sum * CHECKSUM_QUOTIENT) >> 48) |
      <u64>(
        (((<u32>addresses ^ station) & only) |
          outside |
          <u32>load<u8>(<usize>addresses & 0xff, MARTIANS_BASE) |
          <u32>load<u8>(<usize>(addresses >> 32) & 0xff, MARTIANS_BASE))
      );
    if ((second & 0xff00) === TCP << 8) {
      const word: u32 = load<u16>(eth, IP_END + 12);
      const offset = (word >> 2) & 0x3c;
      const signs = (offset - 20) | (payload - offset) | behind;
      wrong |= <u64>((signs >> 31) | ((NO_TCP_KINDS >> (word >> 8)) & 1));
    } else {
      const declared: u32 = bswap<u16>(load<u16>(eth, IP_END + 4));
      const signs = (declared - 8) | (payload - declared) | behind;
      wrong |= <u64>((signs >> 31) | ((second & 0xff00) ^ (UDP << 8)));
    }
    if (wrong !== 0) {
      store<u32>(v, UNDECIDED, V_OUTCOME);
      store<u32>(oddEnd, <u32>v);
      oddEnd += 4;
      continue;
    }
    store<u32>(v, <u32>eth + ETHERNET, V_L3);
    store<u32>(v, <u32>eth + IP_END, V_L4);
    store<u64>(v, addresses, V_SRC); // and V_DST
    store<u64>(v, <u64>load<u32>(eth, IP_END) | ((<u64>((second >> 8) & 0xff)) << 32), V_PORTS); // and V_PROTOCOL
  }
  return <u64>i32x4.extract_lane(totals, 2);
}

function portOf(rx: u32): usize {
  return ports + ((<usize>min<u32>(rx, MAX_PORTS - 1)) << PORT_SHIFT);
}

function roleOf(rx: u32): u32 {
  return rx < <u32>MAX_PORTS ? load<u8>(portOf(rx), PORT_ROLE) : ROLE_NONE;
}

/** Packets of a port that is not there. */
function refuse(v: usize, end: usize): void {
  const rx = load<u32>(v, V_RX_PORT);
  let bytes: u64 = 0;
  let packets: u64 = 0;
  for (; v < end; v += VECTOR_SIZE) {
    packets++;
    bytes += load<u32>(v, V_TOTAL);
    store<u32>(v, <u32>PORT_NONE, V_TX_PORT);
    store<u64>(v, (<u64>DROP_PORT) << 32, V_FLAGS); // and V_OUTCOME
  }
  countReceived(rx, packets, bytes);
}

/** A packet that is not of the usual kind. */
function look(v: usize): void {
  store<u32>(v, 0, V_OUTCOME);
  let outcome: i32 = 0;
  if (load<u32>(v, V_FLAGS) & VF_FROM_TUNNEL) {
    outcome = insideTunnel(v);
  } else {
    const rx = load<u32>(v, V_RX_PORT);
    outcome = ethernet(v, portOf(rx), roleOf(rx), load<u32>(v, V_TOTAL));
  }
  if (outcome !== 0) store<u32>(v, outcome, V_OUTCOME);
}

/** Before the first image there is no port that a packet could have come by. */
export function refuseAll(n: i32): void {
  for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    store<u32>(v, <u32>PORT_NONE, V_TX_PORT);
    store<u64>(v, (<u64>DROP_PORT) << 32, V_FLAGS); // and V_OUTCOME
  }
}

/** Returns an outcome, 0 = goes on. */
function ethernet(v: usize, port: usize, role: u32, total: u32): i32 {
  const eth: usize = load<u32>(v, V_ADDRESS);
  const length = load<u32>(v, V_LENGTH);
  store<u64>(v, 0, V_HASH); // and V_SESSION
  store<u64>(v, 0, V_L3); // and V_L4
  if (length < ETHERNET) return DROP_SHORT;
  if (total < length) {
    total = length;
    store<u32>(v, length, V_TOTAL);
  }
  const type: u32 = load<u16>(eth, 12);
  const ours = (load<u64>(eth) & MAC_MASK) === (load<u64>(port, PORT_MAC) & MAC_MASK);
  if (type === TYPE_IP4) {
    if (!ours) return (load<u8>(eth) & 1) !== 0 ? DROP_MULTICAST : DROP_NOT_FOR_US;
    const l3 = eth + ETHERNET;
    const outcome = ip4(v, l3, length - ETHERNET, total - ETHERNET);
    if (outcome !== 0) return outcome;
    if (role === ROLE_POD) return load<u32>(l3, 12) === load<u32>(port, PORT_IP4) ? 0 : DROP_SPOOFED;
    if (role === ROLE_UPLINK) return fromUplink(v, port, eth);
    return isForgedByHost(port, load<u32>(v, V_SRC)) ? DROP_SPOOFED : 0;
  }
  if (type === TYPE_ARP) {
    if (!ours && (load<u8>(eth) & 1) === 0) return DROP_NOT_FOR_US;
    return handleArp(v, port, role, eth);
  }
  return type === TYPE_IP6 ? frame6(v, port, role, eth, length, total) : DROP_ETHERTYPE;
}
