/** ICMP, UDP and TCP segments as bytes. Ports in host order. */
import {
  checksum,
  type IpPacket,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  sealSegment,
  segmentIsWhole,
  view,
} from './packet.js';

export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_ECHO_REQUEST = 8;
/** Codes of ICMP_UNREACHABLE. */
export const CODE_PORT = 3;

export interface Icmp {
  readonly type: number;
  readonly code: number;
  /** Bytes 4-7: identifier and sequence of an echo. */
  readonly rest: number;
  readonly payload: Uint8Array;
}

export function icmp(message: Icmp): Uint8Array {
  const out = new Uint8Array(8 + message.payload.length);
  const v = view(out);
  v.setUint8(0, message.type);
  v.setUint8(1, message.code);
  v.setUint32(4, message.rest);
  out.set(message.payload, 8);
  v.setUint16(2, checksum(out));
  return out;
}

export function parseIcmp(bytes: Uint8Array): Icmp | null {
  if (bytes.length < 8 || checksum(bytes) !== 0) return null;
  const v = view(bytes);
  return { type: v.getUint8(0), code: v.getUint8(1), rest: v.getUint32(4), payload: bytes.subarray(8) };
}

export interface Udp {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

export function udp(segment: Udp, source: string, destination: string): Uint8Array {
  const out = new Uint8Array(8 + segment.payload.length);
  const v = view(out);
  v.setUint16(0, segment.sourcePort);
  v.setUint16(2, segment.destinationPort);
  v.setUint16(4, out.length);
  out.set(segment.payload, 8);
  sealSegment(out, 6, source, destination, PROTOCOL_UDP);
  return out;
}

export function parseUdp(packet: IpPacket): Udp | null {
  const bytes = packet.payload;
  if (bytes.length < 8) return null;
  const v = view(bytes);
  const length = v.getUint16(4);
  if (length < 8 || length > bytes.length || (v.getUint16(6) !== 0 && !segmentIsWhole(packet))) return null;
  return { sourcePort: v.getUint16(0), destinationPort: v.getUint16(2), payload: bytes.subarray(8, length) };
}

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

export interface Tcp {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

export function tcp(segment: Tcp, source: string, destination: string): Uint8Array {
  const out = new Uint8Array(20 + segment.payload.length);
  const v = view(out);
  v.setUint16(0, segment.sourcePort);
  v.setUint16(2, segment.destinationPort);
  v.setUint32(4, segment.sequence >>> 0);
  v.setUint32(8, segment.acknowledgment >>> 0);
  v.setUint8(12, 5 << 4);
  v.setUint8(13, segment.flags);
  v.setUint16(14, 65535);
  out.set(segment.payload, 20);
  sealSegment(out, 16, source, destination, PROTOCOL_TCP);
  return out;
}

export function parseTcp(packet: IpPacket): Tcp | null {
  const bytes = packet.payload;
  if (bytes.length < 20 || !segmentIsWhole(packet)) return null;
  const v = view(bytes);
  const header = (bytes[12]! >>> 4) * 4;
  if (header < 20 || header > bytes.length) return null;
  return {
    sourcePort: v.getUint16(0),
    destinationPort: v.getUint16(2),
    sequence: v.getUint32(4),
    acknowledgment: v.getUint32(8),
    flags: v.getUint8(13),
    payload: bytes.subarray(header),
  };
}
