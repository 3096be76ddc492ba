/**
 * The first packet of a connection: service, policy, route, source NAT, and two session lines that keep the outcome. From
 * then on the pipeline only looks up and rewrites. What is decided here on packets of the usual kind, newcomers.ts decides on many at once.
 */
import { exitRole, fromPort, fromTunnel, judge, judgeAnswer, role } from './judge';
import { ACK, REPLY, SYN, TCP, UDP } from './l4';
import {
  DROP_FRAGMENT_UNKNOWN,
  DROP_ICMP_ERROR,
  DROP_VXLAN,
  ROLE_HOST,
  ROLE_UPLINK,
  SF_PICKED_UP,
  V_DST,
  V_FLAGS,
  V_L4,
  V_PORTS,
  V_PROTOCOL,
  V_RX_PORT,
  V_SRC,
  VF_FROM_TUNNEL,
  VF_LATER_FRAGMENT,
  VF_TUNNEL_SHIFT,
  VXLAN_PORT,
} from './layout';
import { open } from './open';
import { backendAddress, backendId, backendPort, choose, serviceOf } from './services';
import { keepAll, newDestination, newPorts, settlePort, toBackend, translateSource } from './translation';
import { tunnelOf } from './tunnels';

/** First port that systems give to clients. */
const EPHEMERAL: u16 = 32768;

/** Tells judge.ts where packet `v` came from. */
export function setOrigin(v: usize): void {
  const vf = load<u32>(v, V_FLAGS);
  if (vf & VF_FROM_TUNNEL) fromTunnel(vf >> VF_TUNNEL_SHIFT);
  else fromPort(load<u32>(v, V_RX_PORT));
}

/** Returns 0 with V_SESSION set, REJECT, or the outcome to drop with. */
export function first(v: usize): i32 {
  if (load<u32>(v, V_FLAGS) & VF_LATER_FRAGMENT) return DROP_FRAGMENT_UNKNOWN;
  const protocol = load<u32>(v, V_PROTOCOL);
  if (protocol === REPLY) return DROP_ICMP_ERROR;
  const source = load<u32>(v, V_SRC);
  const destination = load<u32>(v, V_DST);
  const pair = load<u32>(v, V_PORTS);
  keepAll(source, destination, pair);
  setOrigin(v);
  let backend: u32 = 0;
  let bits: u32 = 0;
  const service = serviceOf(destination, pair >> 16, protocol);
  if (service !== 0) {
    const outcome = choose(v, service, load<u64>(v, V_SRC), load<u64>(v, V_PORTS));
    if (outcome !== 0) return outcome;
    toBackend(v, backendAddress, backendPort);
    backend = backendId;
  }
  const outcome = judge(v, source, newDestination, protocol, newPorts >> 16, service !== 0, true);
  if (outcome !== 0) return outcome;
  if (forgesTunnel(protocol)) return DROP_VXLAN;
  if (protocol === TCP && service === 0 && !starts(v) && !fromOpener(pair)) {
    const answer = judgeAnswer(v, source, destination, pair & 0xffff);
    if (answer !== 0) return answer;
    bits = SF_PICKED_UP;
  }
  const translated = translateSource(v, source);
  if (translated !== 0) return translated;
  const settled = settlePort(v, protocol);
  if (settled !== 0) return settled;
  return open(v, protocol, service, backend, bits);
}

/**
 * Would this arrive at a peer as a packet of our tunnel? A service whose endpoint is another node's VXLAN port sends what came
 * by the uplink on under our own address, the one thing the peer knows a tunnel by. Only the node itself may speak to it.
 */
function forgesTunnel(protocol: u32): bool {
  if (protocol !== UDP || exitRole !== ROLE_UPLINK || role === ROLE_HOST) return false;
  return <u32>bswap<u16>(<u16>(newPorts >> 16)) === VXLAN_PORT && tunnelOf(newDestination) !== 0;
}

/** A SYN without ACK: nothing else opens a TCP connection (RFC 9293 section 3.5). */
export function starts(v: usize): bool {
  return (load<u8>(<usize>load<u32>(v, V_L4), 13) & (SYN | ACK)) === SYN;
}

/**
 * Between an ephemeral port and a lower one, who has the ephemeral port opened the connection (RFC 6335 section 6; systems
 * begin at 32768). So a client's connection survives the loss of the table although nobody may connect to the client.
 */
export function fromOpener(pair: u32): bool {
  return bswap<u16>(<u16>pair) >= EPHEMERAL && bswap<u16>(<u16>(pair >> 16)) < EPHEMERAL;
}
