/** Frames that carry a number, so that it can be told on which link each of them came out. */
import { icmp6, ipv6, PROTOCOL_ICMP6 } from '../../control/sim/memory/ipv6.js';
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ethernet,
  ipv4,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  view,
} from '../../control/sim/memory/packet.js';
import { ICMP_ECHO_REQUEST, icmp, SYN, tcp, udp } from '../../control/sim/memory/transport.js';

export interface WireProbe {
  readonly source: string;
  readonly destination: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP';
  readonly sourcePort: number;
  readonly port: number;
  readonly marker: number;
}

const MAGIC = 0x50545250;
const PROTOCOL_SCTP = 132;
const SCTP_INIT = 1;

/** The first packet of a connection (an echo request for ICMP), the marker being its last bytes. */
export function probePacket({
  source,
  destination,
  protocol,
  sourcePort,
  port,
  marker,
}: WireProbe): Uint8Array {
  const payload = new Uint8Array(8);
  view(payload).setUint32(0, MAGIC);
  view(payload).setUint32(4, marker);
  const ports = { sourcePort, destinationPort: port };
  const six = source.includes(':');
  const wrap = (number: number, segment: Uint8Array) =>
    (six ? ipv6 : ipv4)({ source, destination, protocol: number, payload: segment });
  switch (protocol) {
    case 'TCP': {
      const segment = { ...ports, sequence: marker, acknowledgment: 0, flags: SYN, payload };
      return wrap(PROTOCOL_TCP, tcp(segment, source, destination));
    }
    case 'UDP':
      return wrap(PROTOCOL_UDP, udp({ ...ports, payload }, source, destination));
    case 'SCTP':
      return wrap(PROTOCOL_SCTP, sctp(sourcePort, port, payload));
    case 'ICMP': {
      const message = { type: ICMP_ECHO_REQUEST, code: 0, rest: (sourcePort << 16) >>> 0, payload };
      return six
        ? wrap(PROTOCOL_ICMP6, icmp6(message, source, destination))
        : wrap(PROTOCOL_ICMP, icmp(message));
    }
  }
}

/** RFC 9260 common header and one chunk; nothing on the way looks at the checksum. */
function sctp(sourcePort: number, destinationPort: number, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(16 + payload.length);
  const v = view(out);
  v.setUint16(0, sourcePort);
  v.setUint16(2, destinationPort);
  v.setUint8(12, SCTP_INIT);
  v.setUint16(14, 4 + payload.length);
  out.set(payload, 16);
  return out;
}

export function frame(source: string, destination: string, payload: Uint8Array): Uint8Array {
  const type = payload[0]! >>> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
  return ethernet({ source, destination, type, payload });
}

export interface Tunnel {
  readonly vni: number;
  readonly local: string;
  readonly remote: string;
  readonly localMac: string;
  readonly remoteMac: string;
}

/** The IP packet as the far end of a tunnel sends it to us (RFC 7348). */
export function throughTunnel(
  { vni, local, remote, localMac, remoteMac }: Tunnel,
  packet: Uint8Array,
): Uint8Array {
  const inner = frame(remoteMac, localMac, packet);
  const payload = new Uint8Array(8 + inner.length);
  payload[0] = 0x08;
  view(payload).setUint32(4, (vni << 8) >>> 0);
  payload.set(inner, 8);
  const segment = udp({ sourcePort: 50000, destinationPort: 4789, payload }, remote, local);
  return ipv4({ source: remote, destination: local, protocol: PROTOCOL_UDP, payload: segment });
}

/** The marker of a frame, wherever it has been wrapped into on its way; null if it has none. */
export function markerOf(bytes: Uint8Array): number | null {
  if (bytes.length < 42 || view(bytes).getUint32(bytes.length - 8) !== MAGIC) return null;
  return view(bytes).getUint32(bytes.length - 4);
}
