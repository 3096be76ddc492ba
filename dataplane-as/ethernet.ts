/** Writing Ethernet headers and sending a packet back where it came from. */
import { adjacencies, ports } from './context';
import { encapsulate } from './encap';
import {
  ADJ_SHIFT,
  PORT_MAC,
  PORT_SHIFT,
  V_ADDRESS,
  V_FLAGS,
  V_OUTCOME,
  V_RX_PORT,
  V_TX_PORT,
  VF_FROM_TUNNEL,
  VF_TUNNEL_SHIFT,
} from './layout';

/** Bytes of the header, and its types as loaded. */
export const ETHERNET: u32 = 14;
export const TYPE_IP4: u32 = 0x0008;
export const TYPE_ARP: u32 = 0x0608;
export const TYPE_IP6: u32 = 0xdd86;

export const MAC_MASK: u64 = 0xffffffffffff;

/** Destination and source of the frame at `eth`; MACs in the low 48 bits, as loaded. */
export function writeMacs(eth: usize, destination: u64, source: u64): void {
  store<u64>(eth, (destination & MAC_MASK) | (source << 48));
  store<u32>(eth, <u32>(source >> 16), 8);
}

/**
 * Sends the IP packet in `v` back through the port or tunnel it came by; `sender` is the MAC it came from. Its length and
 * address already are those of the answer (Ethernet header included).
 */
export function sendBack(v: usize, sender: u64, outcome: u32): void {
  const flags = load<u32>(v, V_FLAGS);
  if (flags & VF_FROM_TUNNEL) {
    const adjacency = adjacencies + ((<usize>(flags >> VF_TUNNEL_SHIFT)) << ADJ_SHIFT);
    if (encapsulate(v, adjacency)) store<u32>(v, outcome, V_OUTCOME);
    return;
  }
  const rx = load<u32>(v, V_RX_PORT);
  const eth: usize = load<u32>(v, V_ADDRESS);
  writeMacs(eth, sender, load<u64>(ports + ((<usize>rx) << PORT_SHIFT), PORT_MAC));
  store<u16>(eth, 0x0008, 12);
  store<u32>(v, rx, V_TX_PORT);
  store<u32>(v, outcome, V_OUTCOME);
}
