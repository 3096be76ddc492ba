/**
 * Stage 1: Ethernet and IPv4. Everything a later stage relies on is proved here: the headers lie inside the buffer, lengths
 * agree, the checksum is right, the addresses may be used where they come from.
 */
import { handleArp } from './arp';
import { fold32 } from './checksum';
import { ports } from './context';
import { countReceived } from './counters';
import { fromUplink } from './decap';
import { ETHERNET, MAC_MASK, TYPE_ARP, TYPE_IP4, TYPE_IP6 } from './ethernet';
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
  MAX_PORTS,
  PORT_IP4,
  PORT_MAC,
  PORT_NONE,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_NONE,
  ROLE_POD,
  ROLE_UPLINK,
  V_ADDRESS,
  V_FLAGS,
  V_HASH,
  V_L3,
  V_LENGTH,
  V_OUTCOME,
  V_PORTS,
  V_RX_PORT,
  V_SRC,
  V_TOTAL,
  V_TX_PORT,
  VECTOR_BASE,
  VECTOR_SIZE,
} from './layout';

/** An Ethernet header, an IPv4 header without options, and the shortest header of TCP and UDP. */
const SHORTEST: u32 = 42;
const IP_END: u32 = 34;
const PLAIN_IP4: u32 = 0x450008;
/**
 * Bit n: TCP with these flags may be (l4.ts says the same in words): one of the four is set, and SYN comes without FIN and RST.
 */
const TCP_KINDS: u32 = 0x3736;

/**
 * Fills the metadata of packets 0..n-1; what is wrong or answered here gets its outcome here. A packet of the usual kind (our
 * MAC, no options, no fragment, TCP or UDP, all fields plausible) is proved good in this loop; any other is looked at again
 * by ethernet(), which says what is wrong with it.
 */
export function parse(n: i32): void {
  // Packets of one port come in runs: its record is read, and they are counted, once a run.
  let current: u32 = <u32>PORT_NONE;
  let packets: u64 = 0;
  let bytes: u64 = 0;
  let port: usize = 0;
  let role: u32 = ROLE_NONE;
  let mac: u64 = 0;
  let station: u32 = 0;
  for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    store<u32>(v, <u32>PORT_NONE, V_TX_PORT);
    store<u64>(v, 0, V_FLAGS); // and V_OUTCOME
    const rx = load<u32>(v, V_RX_PORT);
    if (rx !== current) {
      countReceived(current, packets, bytes);
      current = rx;
      packets = 0;
      bytes = 0;
      port = ports + ((<usize>min<u32>(rx, MAX_PORTS - 1)) << PORT_SHIFT);
      role = rx < <u32>MAX_PORTS ? load<u8>(port, PORT_ROLE) : ROLE_NONE;
      mac = load<u64>(port, PORT_MAC) << 16;
      station = load<u32>(port, PORT_IP4);
    }
    const total = load<u32>(v, V_TOTAL);
    packets++;
    bytes += total;
    if (role === ROLE_NONE) {
      store<u32>(v, DROP_PORT, V_OUTCOME);
      continue;
    }
    const eth: usize = load<u32>(v, V_ADDRESS);
    const length = load<u32>(v, V_LENGTH);
    // The type and the first byte of the IP header in one word.
    if (
      length >= SHORTEST &&
      total >= length &&
      load<u64>(eth) << 16 === mac &&
      (load<u32>(eth, 12) & 0xffffff) === PLAIN_IP4
    ) {
      const word0 = load<u32>(eth, ETHERNET);
      const word1 = load<u32>(eth, ETHERNET + 4);
      const word2 = load<u32>(eth, ETHERNET + 8);
      const src = load<u32>(eth, ETHERNET + 12);
      const dst = load<u32>(eth, ETHERNET + 16);
      const sum = <u64>word0 + <u64>word1 + <u64>word2 + <u64>src + <u64>dst;
      const folded = fold32(sum);
      const payload: u32 = <u32>bswap<u16>(<u16>(word0 >> 16)) - 20;
      const from = src & 0xff;
      const to = dst & 0xff;
      if (
        (folded === 0xffff || folded === 0x1fffe) &&
        payload + IP_END === length &&
        from - 1 < 223 &&
        from !== 127 &&
        to - 1 < 223 &&
        to !== 127 &&
        (word2 & 0xff) !== 0 &&
        (word1 & 0xff3f0000) === 0 &&
        (role !== ROLE_POD || src === station)
      ) {
        const protocol = (word2 >> 8) & 0xff;
        const l4 = eth + IP_END;
        if (protocol === TCP ? goodTcp(l4, payload) : protocol === UDP && goodUdp(l4, payload)) {
          store<u64>(v, <u64>(eth + ETHERNET) | ((<u64>l4) << 32), V_L3); // and V_L4
          store<u64>(v, <u64>src | ((<u64>dst) << 32), V_SRC); // and V_DST
          store<u64>(v, <u64>load<u32>(l4) | ((<u64>protocol) << 32), V_PORTS); // and V_PROTOCOL
          if (role === ROLE_UPLINK) {
            const outcome = fromUplink(v, port, eth);
            if (outcome !== 0) store<u32>(v, outcome, V_OUTCOME);
          }
          continue;
        }
      }
    }
    const outcome = ethernet(v, port, role, total);
    if (outcome !== 0) store<u32>(v, outcome, V_OUTCOME);
  }
  countReceived(current, packets, bytes);
}

/** A TCP header that parseL4 would accept; `length` bytes are there. */
function goodTcp(l4: usize, length: u32): bool {
  if (length < 20) return false;
  const word: u32 = load<u16>(l4, 12);
  const offset = ((word >> 4) & 15) << 2;
  const flags = word >> 8;
  // Which of the combinations of FIN, SYN, RST (bits 0-2) and ACK (here bit 3) may be.
  const kind = (flags & 7) | ((flags >> 1) & 8);
  return offset >= 20 && offset <= length && ((TCP_KINDS >> kind) & 1) !== 0;
}

function goodUdp(l4: usize, length: u32): bool {
  return <u32>bswap<u16>(load<u16>(l4, 4)) - 8 <= length - 8;
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
    return 0;
  }
  if (type === TYPE_ARP) {
    if (!ours && (load<u8>(eth) & 1) === 0) return DROP_NOT_FOR_US;
    return handleArp(v, port, role, eth);
  }
  return type === TYPE_IP6 ? frame6(v, port, role, eth, length, total) : DROP_ETHERTYPE;
}
