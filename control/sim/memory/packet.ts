/**
 * Ethernet, ARP, IPv4, ICMP, UDP and TCP as bytes (RFC 826, 791, 792, 768, 9293): what the in-memory stations speak.
 * Written for clarity; the packet path proper is the WebAssembly pipeline.
 */
import { formatIp, parseIp } from '../../common/ip.js';

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

export interface Ethernet {
  readonly destination: string;
  readonly source: string;
  readonly type: number;
  readonly payload: Uint8Array;
}

export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (part) => Number.parseInt(part, 16));
}

export function macText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function ipNumber(ip: string): number {
  return Number(parseIp(ip).value);
}

function ipText(value: number): string {
  return formatIp({ family: 4, value: BigInt(value) });
}

export function ip6Bytes(address: string): Uint8Array {
  const { value } = parseIp(address);
  return Uint8Array.from({ length: 16 }, (_, i) => Number((value >> BigInt(120 - i * 8)) & 0xffn));
}

export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function ethernet(frame: Ethernet): Uint8Array {
  const out = new Uint8Array(14 + frame.payload.length);
  out.set(macBytes(frame.destination), 0);
  out.set(macBytes(frame.source), 6);
  view(out).setUint16(12, frame.type);
  out.set(frame.payload, 14);
  return out;
}

/** null when shorter than a header. The payload may carry trailing padding. */
export function parseEthernet(frame: Uint8Array): Ethernet | null {
  if (frame.length < 14) return null;
  return {
    destination: macText(frame.subarray(0, 6)),
    source: macText(frame.subarray(6, 12)),
    type: view(frame).getUint16(12),
    payload: frame.subarray(14),
  };
}

export interface Arp {
  readonly operation: 'request' | 'reply';
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac: string;
  readonly targetIp: string;
}

export function arp(packet: Arp): Uint8Array {
  const out = new Uint8Array(28);
  const v = view(out);
  v.setUint16(0, 1);
  v.setUint16(2, ETHERTYPE_IPV4);
  v.setUint8(4, 6);
  v.setUint8(5, 4);
  v.setUint16(6, packet.operation === 'request' ? 1 : 2);
  out.set(macBytes(packet.senderMac), 8);
  v.setUint32(14, ipNumber(packet.senderIp));
  out.set(macBytes(packet.targetMac), 18);
  v.setUint32(24, ipNumber(packet.targetIp));
  return out;
}

export function parseArp(bytes: Uint8Array): Arp | null {
  if (bytes.length < 28) return null;
  const v = view(bytes);
  const operation = v.getUint16(6);
  if (v.getUint16(2) !== ETHERTYPE_IPV4 || (operation !== 1 && operation !== 2)) return null;
  return {
    operation: operation === 1 ? 'request' : 'reply',
    senderMac: macText(bytes.subarray(8, 14)),
    senderIp: ipText(v.getUint32(14)),
    targetMac: macText(bytes.subarray(18, 24)),
    targetIp: ipText(v.getUint32(24)),
  };
}

/** One's complement sum of RFC 1071 over 16-bit words, folded, not inverted. */
function sum(bytes: Uint8Array, start = 0): number {
  let total = start;
  for (let i = 0; i + 1 < bytes.length; i += 2) total += (bytes[i]! << 8) | bytes[i + 1]!;
  if (bytes.length % 2 === 1) total += bytes[bytes.length - 1]! << 8;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

export function checksum(bytes: Uint8Array, start = 0): number {
  return ~sum(bytes, start) & 0xffff;
}

/** An IP packet of either family, read. */
export interface IpPacket {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly ttl: number;
  readonly payload: Uint8Array;
  /** The whole packet, header included, without padding: what an ICMP error quotes. */
  readonly bytes: Uint8Array;
}

let identification = 0;

export function ipv4(packet: Omit<IpPacket, 'bytes' | 'ttl'>): Uint8Array {
  const out = new Uint8Array(20 + packet.payload.length);
  const v = view(out);
  v.setUint8(0, 0x45);
  v.setUint16(2, out.length);
  identification = (identification + 1) & 0xffff;
  v.setUint16(4, identification);
  v.setUint16(6, 0x4000);
  v.setUint8(8, 64);
  v.setUint8(9, packet.protocol);
  v.setUint32(12, ipNumber(packet.source));
  v.setUint32(16, ipNumber(packet.destination));
  v.setUint16(10, checksum(out.subarray(0, 20)));
  out.set(packet.payload, 20);
  return out;
}

/** null for a packet a host's stack would drop: wrong lengths, version or header checksum; fragments. */
export function parseIpv4(bytes: Uint8Array): IpPacket | null {
  if (bytes.length < 20 || bytes[0]! >>> 4 !== 4) return null;
  const v = view(bytes);
  const header = (bytes[0]! & 15) * 4;
  const total = v.getUint16(2);
  if (header < 20 || total < header || total > bytes.length) return null;
  if (sum(bytes.subarray(0, header)) !== 0xffff || (v.getUint16(6) & 0x3fff) !== 0) return null;
  return {
    source: ipText(v.getUint32(12)),
    destination: ipText(v.getUint32(16)),
    protocol: v.getUint8(9),
    ttl: v.getUint8(8),
    payload: bytes.subarray(header, total),
    bytes: bytes.subarray(0, total),
  };
}

/** Sum of the pseudo header (RFC 8200 section 8.1). */
export function pseudo6(source: string, destination: string, protocol: number, length: number): number {
  const bytes = new Uint8Array(40);
  bytes.set(ip6Bytes(source), 0);
  bytes.set(ip6Bytes(destination), 16);
  view(bytes).setUint32(32, length);
  bytes[39] = protocol;
  return sum(bytes);
}

/** Sum of the pseudo header of TCP and UDP. */
function pseudo(source: string, destination: string, protocol: number, length: number): number {
  if (source.includes(':')) return pseudo6(source, destination, protocol, length);
  const bytes = new Uint8Array(12);
  const v = view(bytes);
  v.setUint32(0, ipNumber(source));
  v.setUint32(4, ipNumber(destination));
  v.setUint16(8, protocol);
  v.setUint16(10, length);
  return sum(bytes);
}

/** Fills in the checksum at `offset` of a TCP or UDP segment. */
export function sealSegment(
  segment: Uint8Array,
  offset: number,
  source: string,
  destination: string,
  protocol: number,
): void {
  const value = checksum(segment, pseudo(source, destination, protocol, segment.length));
  view(segment).setUint16(offset, value === 0 && protocol === PROTOCOL_UDP ? 0xffff : value);
}

export function segmentIsWhole(packet: IpPacket): boolean {
  const { source, destination, protocol, payload } = packet;
  return sum(payload, pseudo(source, destination, protocol, payload.length)) === 0xffff;
}
