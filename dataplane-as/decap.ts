/** What arrives by the uplink: neighbors are confirmed, VXLAN of our peers is taken out of its tunnel (RFC 7348). */
import { handleTunnelArp, onLink } from './arp';
import { adjacencies } from './context';
import { ETHERNET, MAC_MASK, TYPE_ARP, TYPE_IP4, TYPE_IP6 } from './ethernet';
import { tunnelFrame6 } from './ip6/parse6';
import { ip4 } from './ipv4';
import { UDP } from './l4';
import {
  ADJ_LOCAL_MAC,
  ADJ_SHIFT,
  ADJ_VNI,
  DROP_ETHERTYPE,
  DROP_MARTIAN,
  DROP_MULTICAST,
  DROP_NOT_FOR_US,
  DROP_VXLAN,
  PORT_IP4,
  V_ADDRESS,
  V_DST,
  V_FLAGS,
  V_L4,
  V_LENGTH,
  V_PORTS,
  V_PROTOCOL,
  V_RX_PORT,
  V_SRC,
  V_TOTAL,
  VF_FIRST_FRAGMENT,
  VF_FROM_TUNNEL,
  VF_LATER_FRAGMENT,
  VF_TUNNEL_SHIFT,
} from './layout';
import { confirm } from './neighbors';
import { tunnelOf } from './tunnels';

const VXLAN_PORT_LOADED: u32 = 0xb512; // 4789 as loaded
const VXLAN_KEY: u32 = 16; // UDP and VXLAN headers

export function fromUplink(v: usize, port: usize, eth: usize): i32 {
  const src = load<u32>(v, V_SRC);
  const own = load<u32>(port, PORT_IP4);
  if (src === own) return DROP_MARTIAN;
  if (onLink(port, src)) confirm(src, load<u32>(v, V_RX_PORT), load<u64>(eth, 6) & MAC_MASK);
  if (load<u32>(v, V_PROTOCOL) !== UDP || load<u32>(v, V_DST) !== own) return 0;
  if (load<u32>(v, V_FLAGS) & (VF_FIRST_FRAGMENT | VF_LATER_FRAGMENT)) {
    // Peers set DF; the pieces of a fragmented tunnel packet cannot be judged.
    return load<u32>(v, V_PORTS) >> 16 === VXLAN_PORT_LOADED ? DROP_VXLAN : 0;
  }
  return load<u32>(v, V_PORTS) >> 16 === VXLAN_PORT_LOADED ? decapsulate(v, src) : 0;
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
  const eth = l4 + VXLAN_KEY;
  store<u32>(v, <u32>eth, V_ADDRESS);
  store<u32>(v, length - outer, V_LENGTH);
  const total = load<u32>(v, V_TOTAL) - outer;
  store<u32>(v, total, V_TOTAL);
  store<u32>(v, VF_FROM_TUNNEL | (index << VF_TUNNEL_SHIFT), V_FLAGS);
  const type: u32 = load<u16>(eth, 12);
  const ours = (load<u64>(eth) & MAC_MASK) === (load<u64>(adjacency, ADJ_LOCAL_MAC) & MAC_MASK);
  if (type === TYPE_IP4) {
    if (!ours) return (load<u8>(eth) & 1) !== 0 ? DROP_MULTICAST : DROP_NOT_FOR_US;
    return ip4(v, eth + ETHERNET, length - outer - ETHERNET, total - ETHERNET);
  }
  if (type === TYPE_ARP) {
    if (!ours && (load<u8>(eth) & 1) === 0) return DROP_NOT_FOR_US;
    return handleTunnelArp(v, adjacency, eth);
  }
  return type === TYPE_IP6 ? tunnelFrame6(v, adjacency, eth, length - outer, total) : DROP_ETHERTYPE;
}
