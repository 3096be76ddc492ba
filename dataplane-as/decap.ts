/** What arrives by the uplink: neighbors are confirmed, VXLAN of our peers is taken out of its tunnel (RFC 7348). */
import { handleTunnelArp, onLink } from './arp';
import { adjacencies, generation } from './context';
import { ETHERNET, MAC_MASK, TYPE_ARP, TYPE_IP4, TYPE_IP6 } from './ethernet';
import { tunnelFrame6 } from './ip6/parse6';
import { ip4 } from './ipv4';
import { isForged } from './judge';
import {
  ADJ_LOCAL_MAC,
  ADJ_SHIFT,
  ADJ_VNI,
  DROP_ETHERTYPE,
  DROP_MARTIAN,
  DROP_MULTICAST,
  DROP_NOT_FOR_US,
  DROP_SPOOFED,
  DROP_VXLAN,
  HASH_A,
  PORT_IP4,
  V_ADDRESS,
  V_DST,
  V_FLAGS,
  V_L4,
  V_LENGTH,
  V_OUTCOME,
  V_PORTS,
  V_RX_PORT,
  V_SRC,
  V_TOTAL,
  VECTOR_SIZE,
  VF_FIRST_FRAGMENT,
  VF_FROM_TUNNEL,
  VF_LATER_FRAGMENT,
  VF_TUNNEL_SHIFT,
} from './layout';
import { confirm } from './neighbors';
import { prove } from './parse';
import { tunnelOf } from './tunnels';

const VXLAN_PORT_LOADED: u32 = 0xb512; // 4789 as loaded
const VXLAN_KEY: u32 = 16; // UDP and VXLAN headers
/** Bytes in front of the inner frame: Ethernet, IPv4 without options, UDP, VXLAN. */
const OUTER_PLAIN: u32 = 50;
/** V_PORTS and V_PROTOCOL of a tunnel's packets without the source port. */
const TUNNEL_KEY: u64 = VXLAN_PORT_LOADED | (17 << 16);

export function fromUplink(v: usize, port: usize, eth: usize): i32 {
  const src = load<u32>(v, V_SRC);
  const own = load<u32>(port, PORT_IP4);
  if (src === own) return DROP_MARTIAN;
  if (onLink(port, src)) confirm(src, load<u32>(v, V_RX_PORT), load<u64>(eth, 6) & MAC_MASK);
  if (load<u64>(v, V_PORTS) >> 16 !== TUNNEL_KEY || load<u32>(v, V_DST) !== own) {
    // Here and not only where a connection begins: no outsider may speak in one of ours.
    return isForged(src) ? DROP_SPOOFED : 0;
  }
  // Peers set DF; the pieces of a fragmented tunnel packet cannot be judged.
  if (load<u32>(v, V_FLAGS) & (VF_FIRST_FRAGMENT | VF_LATER_FRAGMENT)) return DROP_VXLAN;
  return decapsulate(v, src);
}

/**
 * Same for packets of the usual kind of one uplink, vector lines `v` to `end`. Packets of one sender come in runs: its neighbor
 * entry, route and tunnel are looked up once a run.
 */
export function takeFromUplink(v: usize, end: usize, port: usize): void {
  const own = load<u32>(port, PORT_IP4);
  let known: u32 = own;
  let knownMac: u64 = 0;
  let judged: u32 = own;
  let forged = false;
  while (v < end) {
    const eth: usize = load<u32>(v, V_ADDRESS);
    const src = load<u32>(v, V_SRC);
    const mac = load<u64>(eth, 6) & MAC_MASK;
    if (load<u32>(v, V_OUTCOME) !== 0) {
      v += VECTOR_SIZE;
      continue;
    }
    if (src === own) {
      store<u32>(v, DROP_MARTIAN, V_OUTCOME);
      v += VECTOR_SIZE;
      continue;
    }
    if (src !== known || mac !== knownMac) {
      known = src;
      knownMac = mac;
      if (onLink(port, src)) confirm(src, load<u32>(v, V_RX_PORT), mac);
    }
    if (load<u64>(v, V_PORTS) >> 16 !== TUNNEL_KEY || load<u32>(v, V_DST) !== own) {
      if (src !== judged) {
        judged = src;
        forged = isKnownForged(src);
      }
      if (forged) store<u32>(v, DROP_SPOOFED, V_OUTCOME);
      v += VECTOR_SIZE;
      continue;
    }
    const index = tunnelOf(src);
    const stripped = index === 0 ? v : strip(v, end, index, own, mac);
    if (stripped !== v) {
      const inside = load<u64>(adjacencies + ((<usize>index) << ADJ_SHIFT), ADJ_LOCAL_MAC);
      prove(v, stripped, inside, 0, 0, VF_FROM_TUNNEL | (index << VF_TUNNEL_SHIFT));
      v = stripped;
      continue;
    }
    // Not as it should be.
    const outcome = decapsulate(v, src);
    if (outcome !== 0) store<u32>(v, outcome, V_OUTCOME);
    v += VECTOR_SIZE;
  }
}

/** Sources that were judged: address, and the image's generation << 1 | forged. Nobody has address 0. */
const JUDGED_SHIFT: u32 = 3;
const JUDGED_LOG2: u32 = 8;
const JUDGED: usize = memory.data(8 * 256, 16);

/** isForged(), which is asked once an image as long as few others send. */
function isKnownForged(src: u32): bool {
  const slot = JUDGED + ((<usize>((src * <u32>HASH_A) >> (32 - JUDGED_LOG2))) << JUDGED_SHIFT);
  const verdict = load<u32>(slot, 4);
  if (((load<u32>(slot) ^ src) | ((verdict ^ (generation << 1)) & ~1)) === 0) return (verdict & 1) !== 0;
  const forged = isForged(src);
  store<u32>(slot, src);
  store<u32>(slot, (generation << 1) | <u32>forged, 4);
  return forged;
}

/** What strip() compares with: written and read again, since V8 computes what it knows how to anew in each turn. */
let ourVni: u64 = 0;
let ourAddresses: u64 = 0;

/**
 * Takes the outer headers from a run of good packets of the tunnel `index`, from `v` on; a packet of anyone else, or one that is
 * not good, ends it. Returns the run's end.
 */
function strip(v: usize, end: usize, index: u32, own: u32, mac: u64): usize {
  const adjacency = adjacencies + ((<usize>index) << ADJ_SHIFT);
  ourVni = <u64>(bswap<u32>(load<u32>(adjacency, ADJ_VNI)) >> 8);
  ourAddresses = <u64>load<u32>(v, V_SRC) | ((<u64>own) << 32);
  const vni = ourVni;
  const addresses = ourAddresses;
  for (; v < end; v += VECTOR_SIZE) {
    const eth: usize = load<u32>(v, V_ADDRESS);
    const length = load<u32>(v, V_LENGTH);
    const vxlan = load<u64>(eth, OUTER_PLAIN - 8);
    const other: u64 =
      <u64>load<u32>(v, V_OUTCOME) |
      (load<u64>(v, V_SRC) ^ addresses) |
      ((load<u64>(eth, 6) & MAC_MASK) ^ mac) |
      ((load<u64>(v, V_PORTS) >> 16) ^ TUNNEL_KEY) |
      // The flag "VNI is valid", and the VNI in three bytes.
      (~vxlan & 0x08) |
      (((vxlan >> 32) & 0xffffff) ^ vni);
    if (other !== 0 || length < OUTER_PLAIN + ETHERNET) break;
    store<u32>(v, <u32>eth + OUTER_PLAIN, V_ADDRESS);
    store<u32>(v, length - OUTER_PLAIN, V_LENGTH);
    store<u32>(v, load<u32>(v, V_TOTAL) - OUTER_PLAIN, V_TOTAL);
  }
  return v;
}

/** RFC 7348. Only peers we have a tunnel to, only its VNI, only frames for our BVI. */
function decapsulate(v: usize, remote: u32): i32 {
  const l4: usize = load<u32>(v, V_L4);
  const outer = <u32>(l4 - <usize>load<u32>(v, V_ADDRESS)) + VXLAN_KEY;
  const length = load<u32>(v, V_LENGTH);
  if (length < outer + ETHERNET) return DROP_VXLAN;
  if ((load<u8>(l4, 8) & 0x08) === 0) return DROP_VXLAN;
  const index = tunnelOf(remote);
  if (index === 0) return DROP_VXLAN;
  const adjacency = adjacencies + ((<usize>index) << ADJ_SHIFT);
  if (bswap<u32>(load<u32>(l4, 12)) >> 8 !== load<u32>(adjacency, ADJ_VNI)) return DROP_VXLAN;
  store<u32>(v, <u32>l4 + VXLAN_KEY, V_ADDRESS);
  store<u32>(v, length - outer, V_LENGTH);
  store<u32>(v, load<u32>(v, V_TOTAL) - outer, V_TOTAL);
  store<u32>(v, VF_FROM_TUNNEL | (index << VF_TUNNEL_SHIFT), V_FLAGS);
  return insideTunnel(v);
}

/** The frame that a tunnel carried, at V_ADDRESS. */
export function insideTunnel(v: usize): i32 {
  const eth: usize = load<u32>(v, V_ADDRESS);
  const length = load<u32>(v, V_LENGTH);
  const adjacency = adjacencies + ((<usize>(load<u32>(v, V_FLAGS) >> VF_TUNNEL_SHIFT)) << ADJ_SHIFT);
  const type: u32 = load<u16>(eth, 12);
  const ours = (load<u64>(eth) & MAC_MASK) === (load<u64>(adjacency, ADJ_LOCAL_MAC) & MAC_MASK);
  if (type === TYPE_IP4) {
    if (!ours) return (load<u8>(eth) & 1) !== 0 ? DROP_MULTICAST : DROP_NOT_FOR_US;
    return ip4(v, eth + ETHERNET, length - ETHERNET, load<u32>(v, V_TOTAL) - ETHERNET);
  }
  if (type === TYPE_ARP) {
    if (!ours && (load<u8>(eth) & 1) === 0) return DROP_NOT_FOR_US;
    return handleTunnelArp(v, adjacency, eth);
  }
  return type === TYPE_IP6 ? tunnelFrame6(v, adjacency, eth, length, load<u32>(v, V_TOTAL)) : DROP_ETHERTYPE;
}
