/** Neighbor discovery messages that we send (RFC 4861 sections 4.3 and 4.4): all have one option and one length. */
import { fold, sumBytes } from '../checksum';
import { ports } from '../context';
import { TYPE_IP6, writeMacs } from '../ethernet';
import {
  DROP_NO_NEIGHBOR,
  MAX_PORTS,
  OUT_ND_REQUEST,
  PORT_GATEWAY6,
  PORT_IP6,
  PORT_MAC,
  PORT_NONE,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_NONE,
  ROLE_UPLINK,
  V_ADDRESS,
  V_LENGTH,
  V_OUTCOME,
  V_TOTAL,
  V_TX_PORT,
} from '../layout';
import { copy } from './address';
import { ICMP6 } from './l4';
import { mayAsk6 } from './neighbors6';

export const SOLICITATION: u32 = 135;

/** Bytes of the frame: Ethernet, IPv6, ICMPv6 with a target, a link-layer address. */
export const ND_FRAME: u32 = 86;
const ND_MESSAGE: u32 = 32;
const SOURCE_MAC: u32 = 1;

const WANTED: usize = memory.data(16, 16);
/** ff02::1:ff00:0; its last three bytes are the target's (RFC 4291 section 2.7.1). */
const GROUP: usize = memory.data<u8>([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0], 16);

/** Makes `v` a frame of ND_FRAME bytes and returns its address. */
export function startNd(v: usize): usize {
  const length = load<u32>(v, V_LENGTH);
  // Never write past what was a packet: a shorter one is moved towards its headroom.
  if (length < ND_FRAME) store<u32>(v, load<u32>(v, V_ADDRESS) - (ND_FRAME - length), V_ADDRESS);
  store<u32>(v, ND_FRAME, V_LENGTH);
  store<u32>(v, ND_FRAME, V_TOTAL);
  return load<u32>(v, V_ADDRESS);
}

/** Everything behind the MACs. The addresses must not lie in the frame itself. */
export function writeNd(
  eth: usize,
  type: u32,
  flags: u32,
  source: usize,
  destination: usize,
  target: usize,
  option: u32,
  mac: u64,
): void {
  store<u16>(eth, <u16>TYPE_IP6, 12);
  const l3 = eth + 14;
  store<u32>(l3, 0x60);
  store<u32>(l3, <u32>bswap<u16>(<u16>ND_MESSAGE) | (ICMP6 << 16) | ((<u32>255) << 24), 4);
  copy(l3 + 8, source);
  copy(l3 + 24, destination);
  const icmp = l3 + 40;
  store<u32>(icmp, type);
  store<u32>(icmp, flags, 4);
  copy(icmp + 8, target);
  store<u64>(icmp, <u64>(option | (1 << 8)) | (mac << 16), 24);
  const sum = sumBytes(l3 + 8, 32) + <u64>bswap<u16>(<u16>ND_MESSAGE) + <u64>(ICMP6 << 8);
  store<u16>(icmp, ~fold(sum + sumBytes(icmp, ND_MESSAGE)), 2);
}

/** Writes a solicitation for `address` into `v`, to be sent by the port. Returns its length in bytes, 0 if there is no such port. */
export function writeSolicitation(v: usize, portIndex: u32, address: usize): u32 {
  if (portIndex >= <u32>MAX_PORTS) return 0;
  const port = ports + ((<usize>portIndex) << PORT_SHIFT);
  const role: u32 = load<u8>(port, PORT_ROLE);
  if (role === ROLE_NONE) return 0;
  copy(WANTED, address);
  const tail = load<u32>(WANTED, 12);
  store<u32>(GROUP, (tail & 0xffffff00) | 0xff, 12);
  const mac = load<u64>(port, PORT_MAC);
  const eth = startNd(v);
  writeMacs(eth, 0x3333 | ((<u64>load<u32>(GROUP, 12)) << 16), mac);
  const own = port + (role === ROLE_UPLINK ? PORT_IP6 : PORT_GATEWAY6);
  writeNd(eth, SOLICITATION, 0, own, GROUP, WANTED, SOURCE_MAC, mac);
  store<u32>(v, portIndex, V_TX_PORT);
  return ND_FRAME;
}

/** The packet's next hop is not known: it becomes a solicitation for it, or is dropped if one was just sent. */
export function askInstead6(v: usize, portIndex: u32, address: usize): void {
  if (mayAsk6(address, portIndex) && writeSolicitation(v, portIndex, address) !== 0) {
    store<u32>(v, OUT_ND_REQUEST, V_OUTCOME);
  } else {
    store<u32>(v, <u32>PORT_NONE, V_TX_PORT);
    store<u32>(v, DROP_NO_NEIGHBOR, V_OUTCOME);
  }
}
