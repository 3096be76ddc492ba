/** Stage 5: what a session line says is done to the packet: limits, TTL, rewrite, connection state. */
import { adjust } from './checksum';
import { adjacencies, now, ports, tracing } from './context';
import { ETHERNET } from './ethernet';
import { tooBig, ttlExceeded } from './icmp';
import { ACK, FIN, ICMP, REPLY, RST, SCTP, SYN, TCP, UDP } from './l4';
import {
  ADJ_MTU,
  ADJ_SHIFT,
  DROP_FRAGMENT_UNKNOWN,
  PORT_MTU,
  PORT_SHIFT,
  S_ADJACENCY,
  S_DIRECT,
  S_FLAGS,
  S_IP_DELTA,
  S_L4_DELTA,
  S_NEW_PORTS,
  S_NEW_SRC,
  S_PACKETS,
  S_PEER,
  S_PORTS,
  S_PROTOCOL,
  S_SEEN,
  S_SERVICE,
  S_STATE,
  SF_ANSWERED,
  SF_DNAT,
  SF_FIN_SEEN,
  SF_KEEP_TTL,
  SF_REPLY,
  SF_SNAT,
  ST_CLOSING,
  ST_ESTABLISHED,
  ST_NEW,
  STAGE_REWRITE,
  V_FLAGS,
  V_L3,
  V_L4,
  V_OUTCOME,
  V_PROTOCOL,
  V_SESSION,
  V_TOTAL,
  VECTOR_BASE,
  VECTOR_CAPACITY,
  VECTOR_SHIFT,
  VECTOR_SIZE,
  VF_FIRST_FRAGMENT,
  VF_ICMP_ERROR,
  VF_LATER_FRAGMENT,
} from './layout';
import { longestSent } from './offload';
import { crcChange } from './sctp';
import { countService } from './services';
import { record } from './trace';
import { enter, leave, workers } from './workers/lock';
import { isHeld } from './workers/removed';

/** Packets that the fast pass left: addresses of their vector lines. */
const ODD: usize = memory.data(VECTOR_CAPACITY * 4, 16);
/** Longer than any packet, and far from the sign. */
const UNLIMITED: u32 = 0x3fffffff;
/** SF_KEEP_TTL is this bit of S_FLAGS. */
const KEEP_TTL_BIT: u32 = 6;
/** What is unusual about a packet if its connection is new, and nothing else. */
const NEW_ALONE: u32 = (ST_NEW ^ ST_ESTABLISHED) << 8;
const FRAGMENT_OR_ERROR: u32 = VF_FIRST_FRAGMENT | VF_LATER_FRAGMENT | VF_ICMP_ERROR;

/**
 * TCP and UDP of established connections go through the fast pass, which calls nothing; anything else (fragments, ICMP, SCTP,
 * packets that change their connection's state, too long or too old ones) is taken afterwards, one by one and in order.
 */
export function forward(n: i32): void {
  const end = <usize>VECTOR_BASE + ((<usize>n) << VECTOR_SHIFT);
  const odd = tracing ? listAll(end) : forwardPlain(end);
  for (let at = ODD; at < odd; at += 4) forwardOne(load<u32>(at));
  endFollowing();
}

/** A trace wants to see each packet by itself. */
function listAll(end: usize): usize {
  let odd = ODD;
  for (let v: usize = VECTOR_BASE; v < end; v += VECTOR_SIZE) {
    if (load<u32>(v, V_OUTCOME) !== 0) continue;
    store<u32>(odd, <u32>v);
    odd += 4;
  }
  return odd;
}

/** Returns the end of the list of packets that are left. */
function forwardPlain(end: usize): usize {
  let odd = ODD;
  // Packets of one way come in runs: its limit is read once a run.
  for (let v: usize = VECTOR_BASE; v < end; ) {
    if (load<u32>(v, V_OUTCOME) !== 0) {
      v += VECTOR_SIZE;
      continue;
    }
    const way = load<u32>(<usize>load<u32>(v, V_SESSION), S_ADJACENCY);
    odd = forwardRun(v, end, way, limitOf(way) + ETHERNET, now, odd);
    v = runEnd;
  }
  return odd;
}

/** Where the run of packets of one way ends. */
let runEnd: usize = 0;

/** Packets from `v` on that go this `way`, whose frames have at most `limit` bytes. Returns the end of the list of the others. */
function forwardRun(v: usize, end: usize, way: u32, limit: u32, clock: u32, odd: usize): usize {
  for (; v < end; v += VECTOR_SIZE) {
    if (load<u32>(v, V_OUTCOME) !== 0) continue;
    const line: usize = load<u32>(v, V_SESSION);
    if (load<u32>(line, S_ADJACENCY) !== way) break;
    const l3: usize = load<u32>(v, V_L3);
    const l4: usize = load<u32>(v, V_L4);
    const word = load<u32>(l3, 8); // TTL, protocol, checksum
    const kind = load<u32>(line, S_PROTOCOL); // and S_STATE, S_FLAGS
    const hop = ((kind >> (16 + KEEP_TTL_BIT)) & 1) ^ 1;
    let unusual: u32 =
      (load<u32>(v, V_FLAGS) & FRAGMENT_OR_ERROR) |
      ((kind ^ (ST_ESTABLISHED << 8)) & 0xff00) |
      // Lengths are far below 2^31: the sign of a difference tells which is less. The frame may be longer than its packet; then it is looked
      // at again.
      (((limit - load<u32>(v, V_TOTAL)) | ~(hop - (word & 0xff))) >> 31);
    if ((word & 0xff00) === TCP << 8) unusual |= <u32>load<u8>(l4, 13) & (FIN | RST);
    else unusual |= (word & 0xff00) ^ (UDP << 8);
    if (unusual !== 0 && (unusual !== NEW_ALONE || changesNew(word, kind, l4) !== 0)) {
      store<u32>(odd, <u32>v);
      odd += 4;
      continue;
    }
    // The TTL is the low byte of its word as loaded, so one hop less subtracts 1: ~m + m' = 0xffff - hop.
    let delta: u32 = 0xffff - hop;
    if (kind & ((SF_DNAT | SF_SNAT) << 16)) {
      const deltas = load<u32>(line, S_IP_DELTA); // and S_L4_DELTA
      store<u32>(l4, load<u32>(line, S_NEW_PORTS));
      if ((word & 0xff00) === TCP << 8) {
        const sum = (<u32>load<u16>(l4, 16) ^ 0xffff) + (deltas >> 16);
        store<u16>(l4, ~(sum + (sum >> 16)), 16);
      } else {
        adjustUdp(l4, deltas >> 16);
      }
      store<u64>(l3, load<u64>(line, S_NEW_SRC), 12);
      delta += deltas & 0xffff;
      delta = (delta & 0xffff) + (delta >> 16);
    }
    // As adjust(): the sum has 17 bits, and what is above 16 is cut off by the store.
    const sum = (~word >> 16) + delta;
    store<u32>(l3, ((word & 0xffff) - hop) | (~(sum + (sum >> 16)) << 16), 8);
    store<u32>(line, clock, S_SEEN);
    store<u32>(line, load<u32>(line, S_PACKETS) + 1, S_PACKETS);
    countService(load<u32>(line, S_SERVICE), 8);
  }
  runEnd = v;
  return odd;
}

/**
 * Does this packet of a new connection change that (as follow() has it)? 0 = no. `word` is that of the IP header with the protocol, `kind`
 * the line's with its state.
 */
function changesNew(word: u32, kind: u32, l4: usize): u32 {
  const forth = (kind & (SF_REPLY << 16)) === 0;
  // Of several workers all must know of a first answer.
  const opens =
    (word & 0xff00) === TCP << 8 ? (load<u8>(l4, 13) & SYN) !== 0 && (forth || workers === 1) : forth;
  return <u32>!opens;
}

/** A packet of any kind. */
function forwardOne(v: usize): void {
  const line: usize = load<u32>(v, V_SESSION);
  const l3: usize = load<u32>(v, V_L3);
  const l4: usize = load<u32>(v, V_L4);
  const vf = load<u32>(v, V_FLAGS);
  const protocol = load<u32>(v, V_PROTOCOL);
  const mtu = limitOf(load<u32>(line, S_ADJACENCY));
  const length: u32 = bswap<u16>(load<u16>(l3, 2));
  if (length > mtu && longestSent(v, length) > mtu) {
    tooBig(v, mtu);
    return;
  }
  const word = load<u32>(l3, 8); // TTL, protocol, checksum
  const bits: u32 = load<u16>(line, S_FLAGS);
  const hop: u32 = bits & SF_KEEP_TTL ? 0 : 1;
  if ((word & 0xff) <= hop) {
    ttlExceeded(v);
    return;
  }
  let delta: u32 = 0xffff - hop;
  if ((bits & (SF_DNAT | SF_SNAT)) !== 0 && (vf & VF_ICMP_ERROR) === 0) {
    if ((vf & VF_LATER_FRAGMENT) === 0 && !rewritePorts(l4, line, protocol, vf, length - <u32>(l4 - l3))) {
      store<u32>(v, DROP_FRAGMENT_UNKNOWN, V_OUTCOME);
      return;
    }
    store<u64>(l3, load<u64>(line, S_NEW_SRC), 12);
    delta += load<u16>(line, S_IP_DELTA);
    delta = (delta & 0xffff) + (delta >> 16);
  }
  store<u32>(l3, ((word & 0xffff) - hop) | (adjust(word >> 16, delta) << 16), 8);
  store<u32>(line, now, S_SEEN);
  store<u32>(line, load<u32>(line, S_PACKETS) + 1, S_PACKETS);
  follow(line, l4, protocol, vf);
  const service = load<u32>(line, S_SERVICE);
  if (service !== 0) countService(service, 8);
  if (tracing)
    record(v, STAGE_REWRITE, load<u32>(l3, 12), load<u32>(l3, 16), load<u32>(line, S_NEW_PORTS), 0, 0);
}

/** Largest IP packet that may go this way (S_ADJACENCY). */
export function limitOf(way: u32): u32 {
  const limit =
    (way & <u32>S_DIRECT) === 0
      ? load<u32>(adjacencies + ((<usize>way) << ADJ_SHIFT), ADJ_MTU)
      : load<u32>(ports + ((<usize>(way & ~(<u32>S_DIRECT))) << PORT_SHIFT), PORT_MTU);
  return limit === 0 ? UNLIMITED : limit;
}

function adjustUdp(l4: usize, delta: u32): void {
  const checksum: u32 = load<u16>(l4, 6);
  if (checksum === 0) return; // none (RFC 768), and none it stays
  const changed = adjust(checksum, delta);
  store<u16>(l4, changed === 0 ? 0xffff : changed, 6);
}

/** False: this fragment's checksum cannot be kept right. */
function rewritePorts(l4: usize, line: usize, protocol: u32, vf: u32, length: u32): bool {
  if (protocol !== TCP) return rewriteOther(l4, line, protocol, vf, length);
  store<u32>(l4, load<u32>(line, S_NEW_PORTS));
  store<u16>(l4, adjust(load<u16>(l4, 16), load<u16>(line, S_L4_DELTA)), 16);
  return true;
}

/** Ports of all protocols but TCP. False: this fragment's checksum cannot be kept right. */
export function rewriteOther(l4: usize, line: usize, protocol: u32, vf: u32, length: u32): bool {
  const pair = load<u32>(line, S_NEW_PORTS);
  const delta: u32 = load<u16>(line, S_L4_DELTA);
  if (protocol === UDP) {
    store<u32>(l4, pair);
    adjustUdp(l4, delta);
  } else if (protocol === ICMP) {
    store<u16>(l4, pair, 4);
    store<u16>(l4, adjust(load<u16>(l4, 2), delta), 2);
  } else if (protocol === REPLY) {
    store<u16>(l4, pair >> 16, 4);
    store<u16>(l4, adjust(load<u16>(l4, 2), delta), 2);
  } else if (protocol === SCTP) {
    const change = load<u32>(line, S_PORTS) ^ pair;
    if (change === 0) return true;
    // The CRC's change depends on the length of the whole datagram, which a fragment does not tell.
    if (vf & VF_FIRST_FRAGMENT) return false;
    store<u32>(l4, pair);
    store<u32>(l4, load<u32>(l4, 8) ^ crcChange(change, length), 8);
  }
  return true;
}

function setState(line: usize, state: u32): void {
  store<u8>(line, state, S_STATE);
  store<u8>(<usize>load<u32>(line, S_PEER), state, S_STATE);
}

/**
 * Connection state (RFC 9293, roughly). TCP is established when the opener acknowledges after an answer was seen, so that a
 * flood of SYNs never gets the long timeout; anything else when the other side answers.
 */
export function follow(line: usize, l4: usize, protocol: u32, vf: u32): void {
  if (workers === 1) {
    advance(line, l4, protocol, vf);
    return;
  }
  if (!advances(line, l4, protocol, vf)) return;
  if (!following) following = enter();
  // The line may be another connection's by now; the packet is dropped then.
  if (following && isHeld(line)) advance(line, l4, protocol, vf);
}

/** Of several workers: does this one hold the lock, for the first packet that changed a state and those after it? */
let following: bool = false;

/** To be called after follow() and before anything else that takes the lock. */
export function endFollowing(): void {
  if (!following) return;
  following = false;
  leave();
}

/** Does this packet change the connection's state? Asked without the lock, by several workers. */
function advances(line: usize, l4: usize, protocol: u32, vf: u32): bool {
  const state: u32 = load<u8>(line, S_STATE);
  const bits: u32 = load<u16>(line, S_FLAGS);
  if (protocol !== TCP) return state === ST_NEW && (bits & SF_REPLY) !== 0 && (vf & VF_ICMP_ERROR) === 0;
  if (vf & VF_LATER_FRAGMENT) return false;
  const tcp: u32 = load<u8>(l4, 13);
  if (tcp & (FIN | RST)) return state !== ST_CLOSING || (bits & SF_FIN_SEEN) === 0;
  if (state !== ST_NEW) return false;
  return (bits & SF_REPLY) !== 0 ? (bits & SF_ANSWERED) === 0 : (tcp & (SYN | ACK)) === ACK;
}

function advance(line: usize, l4: usize, protocol: u32, vf: u32): void {
  const state: u32 = load<u8>(line, S_STATE);
  if (protocol !== TCP) {
    if (state === ST_NEW && (load<u16>(line, S_FLAGS) & SF_REPLY) !== 0 && (vf & VF_ICMP_ERROR) === 0) {
      setState(line, ST_ESTABLISHED);
    }
    return;
  }
  if (vf & VF_LATER_FRAGMENT) return;
  const tcp: u32 = load<u8>(l4, 13);
  if (state === ST_ESTABLISHED && (tcp & (FIN | RST)) === 0) return;
  const bits: u32 = load<u16>(line, S_FLAGS);
  if (tcp & (FIN | RST)) {
    store<u16>(line, bits | SF_FIN_SEEN, S_FLAGS);
    if (state !== ST_CLOSING) setState(line, ST_CLOSING);
  } else if (workers > 1 && state === ST_NEW && (bits & SF_REPLY) !== 0) {
    store<u16>(line, bits | SF_ANSWERED, S_FLAGS);
  } else if (state === ST_NEW && (tcp & (SYN | ACK)) === ACK && (bits & SF_REPLY) === 0) {
    if (isAnswered(load<u32>(line, S_PEER))) setState(line, ST_ESTABLISHED);
  }
}

/** Was a packet by the reply line seen? A count of packets is not to be trusted where several workers write it. */
function isAnswered(reply: usize): bool {
  if (workers === 1) return load<u32>(reply, S_PACKETS) !== 0;
  return (load<u16>(reply, S_FLAGS) & SF_ANSWERED) !== 0;
}
