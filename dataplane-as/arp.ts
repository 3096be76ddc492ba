/** ARP (RFC 826): answers, learns, asks. Whatever happens, the packet has its outcome when this returns. */
import { ports } from './context';
import { encapsulate } from './encap';
import { MAC_MASK, writeMacs } from './ethernet';
import {
  ADJ_LOCAL_BVI4,
  ADJ_LOCAL_MAC,
  DROP_ARP,
  DROP_NO_NEIGHBOR,
  DROP_SPOOFED,
  MAX_PORTS,
  OUT_ARP_LEARNED,
  OUT_ARP_REPLY,
  OUT_ARP_REQUEST,
  PORT_GATEWAY4,
  PORT_IP4,
  PORT_IP4_LENGTH,
  PORT_MAC,
  PORT_NONE,
  PORT_PEER_MAC,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_NONE,
  ROLE_POD,
  ROLE_UPLINK,
  V_ADDRESS,
  V_LENGTH,
  V_OUTCOME,
  V_RX_PORT,
  V_TOTAL,
  V_TX_PORT,
} from './layout';
import { learn, mayAsk } from './neighbors';

/** Bytes of an Ethernet frame with ARP for IPv4. */
export const ARP_FRAME: u32 = 42;
/** Hardware, protocol, lengths and operation as one word, as loaded. */
const REQUEST: u64 = 0x0100_0406_0008_0100;
const REPLY: u64 = 0x0200_0406_0008_0100;
const BROADCAST: u64 = 0xffffffffffff;

/** Frame at `eth` on a port; returns its outcome (0 only when an answer already set it). */
export function handleArp(v: usize, port: usize, role: u32, eth: usize): i32 {
  if (load<u32>(v, V_LENGTH) < ARP_FRAME) return DROP_ARP;
  const operation = load<u64>(eth, 14);
  if (operation !== REQUEST && operation !== REPLY) return DROP_ARP;
  const mac = load<u64>(eth, 22) & MAC_MASK;
  if (mac === 0 || (mac & 1) !== 0) return DROP_ARP;
  const sender = load<u32>(eth, 28);
  const target = load<u32>(eth, 38);
  const station = load<u32>(port, PORT_IP4);
  const rx = load<u32>(v, V_RX_PORT);
  if (role === ROLE_UPLINK) {
    if (sender === station) return DROP_ARP;
    const forUs = target === station;
    const learned = onLink(port, sender) && learn(sender, rx, mac, !forUs);
    if (!forUs || operation === REPLY) return learned ? OUT_ARP_LEARNED : DROP_ARP;
  } else {
    // Stations have their address as /32: whatever they ask for is reached through us.
    if (role === ROLE_POD && sender !== 0 && sender !== station) return DROP_SPOOFED;
    if ((load<u64>(port, PORT_PEER_MAC) & MAC_MASK) === 0 && sender !== 0) learn(sender, rx, mac, false);
    if (operation === REPLY) return OUT_ARP_LEARNED;
    if (target === 0 || target === station || target === sender) return DROP_ARP;
  }
  answer(eth, target, load<u64>(port, PORT_MAC));
  store<u32>(v, ARP_FRAME, V_LENGTH);
  store<u32>(v, ARP_FRAME, V_TOTAL);
  store<u32>(v, rx, V_TX_PORT);
  return OUT_ARP_REPLY;
}

/** Inner frame at `eth` of a tunnel: only our BVI is answered for. */
export function handleTunnelArp(v: usize, adjacency: usize, eth: usize): i32 {
  if (load<u32>(v, V_LENGTH) < ARP_FRAME) return DROP_ARP;
  const operation = load<u64>(eth, 14);
  const target = load<u32>(eth, 38);
  if (target !== load<u32>(adjacency, ADJ_LOCAL_BVI4)) return DROP_ARP;
  if (operation === REPLY) return OUT_ARP_LEARNED;
  if (operation !== REQUEST) return DROP_ARP;
  const mac = load<u64>(eth, 22) & MAC_MASK;
  answer(eth, target, load<u64>(adjacency, ADJ_LOCAL_MAC));
  store<u32>(v, ARP_FRAME, V_LENGTH);
  store<u32>(v, ARP_FRAME, V_TOTAL);
  if (!encapsulate(v, adjacency)) return load<u32>(v, V_OUTCOME);
  // The template names the peer's BVI; a kernel's VXLAN device asks with a MAC of its own.
  writeMacs(eth, mac, load<u64>(adjacency, ADJ_LOCAL_MAC));
  store<u16>(eth, 0x0608, 12);
  return OUT_ARP_REPLY;
}

/** Is the address (network order) on the link of this uplink? */
export function onLink(port: usize, address: u32): bool {
  if (address === 0) return false;
  const length: u32 = load<u8>(port, PORT_IP4_LENGTH);
  // No subnet is known for the link: whatever answers there is a neighbor.
  if (length === 0 || length >= 32) return true;
  const mask = bswap<u32>((<u32>0xffffffff) << (32 - length));
  return ((address ^ load<u32>(port, PORT_IP4)) & mask) === 0;
}

/** Turns the request at `eth` into its answer: `address` is at `mac`. */
function answer(eth: usize, address: u32, mac: u64): void {
  const asker = load<u64>(eth, 22) & MAC_MASK;
  const sender = load<u32>(eth, 28);
  writeMacs(eth, asker, mac);
  store<u64>(eth, REPLY, 14);
  store<u32>(eth, <u32>mac, 22);
  store<u16>(eth, <u16>(mac >> 32), 26);
  store<u32>(eth, address, 28);
  store<u32>(eth, <u32>asker, 32);
  store<u16>(eth, <u16>(asker >> 32), 36);
  store<u32>(eth, sender, 38);
}

/** Writes a request for `address` (network order) at V_ADDRESS, to be sent by the port. Returns its length in bytes, 0 if there is no such port. */
export function writeRequest(v: usize, portIndex: u32, address: u32): u32 {
  if (portIndex >= <u32>MAX_PORTS) return 0;
  const port = ports + ((<usize>portIndex) << PORT_SHIFT);
  const eth: usize = load<u32>(v, V_ADDRESS);
  const mac = load<u64>(port, PORT_MAC) & MAC_MASK;
  const role: u32 = load<u8>(port, PORT_ROLE);
  if (role === ROLE_NONE) return 0;
  const own = load<u32>(port, PORT_IP4);
  writeMacs(eth, BROADCAST, mac);
  store<u16>(eth, 0x0608, 12);
  store<u64>(eth, REQUEST, 14);
  store<u32>(eth, <u32>mac, 22);
  store<u16>(eth, <u16>(mac >> 32), 26);
  store<u32>(eth, role === ROLE_UPLINK ? own : load<u32>(port, PORT_GATEWAY4), 28);
  store<u32>(eth, 0, 32);
  store<u16>(eth, 0, 36);
  store<u32>(eth, address, 38);
  store<u32>(v, ARP_FRAME, V_LENGTH);
  store<u32>(v, ARP_FRAME, V_TOTAL);
  store<u32>(v, portIndex, V_TX_PORT);
  return ARP_FRAME;
}

/** The packet's next hop is not known: it becomes a request for it, or is dropped if one was just sent. */
export function askInstead(v: usize, portIndex: u32, address: u32): void {
  if (mayAsk(address, portIndex)) {
    const length = load<u32>(v, V_LENGTH);
    // Never write past what was a packet: a shorter one is moved towards its headroom.
    if (length < ARP_FRAME) store<u32>(v, load<u32>(v, V_ADDRESS) - (ARP_FRAME - length), V_ADDRESS);
    writeRequest(v, portIndex, address);
    store<u32>(v, OUT_ARP_REQUEST, V_OUTCOME);
  } else {
    store<u32>(v, <u32>PORT_NONE, V_TX_PORT);
    store<u32>(v, DROP_NO_NEIGHBOR, V_OUTCOME);
  }
}
