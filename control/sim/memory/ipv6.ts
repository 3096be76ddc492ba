/** IPv6, ICMPv6 and neighbor discovery as bytes (RFC 8200, 4443, 4861), for the in-memory stations. */
import { formatIp } from '../../common/ip.js';
import { checksum, type IpPacket, ip6Bytes, macBytes, macText, pseudo6, view } from './packet.js';
import { ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST, ICMP_UNREACHABLE, type Icmp } from './transport.js';

export const PROTOCOL_ICMP6 = 58;
const HEADER = 40;

/** What the messages that IPv4 has too are called here. */
const TYPES: ReadonlyMap<number, number> = new Map([
  [ICMP_ECHO_REQUEST, 128],
  [ICMP_ECHO_REPLY, 129],
  [ICMP_UNREACHABLE, 1],
]);
const CODE_PORT6 = 4;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;

function ip6Text(bytes: Uint8Array): string {
  const v = view(bytes);
  return formatIp({ family: 6, value: (v.getBigUint64(0) << 64n) | v.getBigUint64(8) });
}

export function ipv6(packet: Omit<IpPacket, 'bytes' | 'ttl'>, hopLimit = 64): Uint8Array {
  const out = new Uint8Array(HEADER + packet.payload.length);
  const v = view(out);
  v.setUint8(0, 0x60);
  v.setUint16(4, packet.payload.length);
  v.setUint8(6, packet.protocol);
  v.setUint8(7, hopLimit);
  out.set(ip6Bytes(packet.source), 8);
  out.set(ip6Bytes(packet.destination), 24);
  out.set(packet.payload, HEADER);
  return out;
}

/** null for a packet a host's stack would drop. Extension headers are not followed. */
export function parseIpv6(bytes: Uint8Array): IpPacket | null {
  if (bytes.length < HEADER || bytes[0]! >>> 4 !== 6) return null;
  const total = HEADER + view(bytes).getUint16(4);
  if (total > bytes.length) return null;
  return { ...parseHeader(bytes), payload: bytes.subarray(HEADER, total), bytes: bytes.subarray(0, total) };
}

/** The start of a packet inside an ICMPv6 error: its header and at least 8 bytes. */
export function parseQuoted6(bytes: Uint8Array): IpPacket | null {
  if (bytes.length < HEADER + 8) return null;
  return { ...parseHeader(bytes), payload: bytes.subarray(HEADER), bytes };
}

function parseHeader(bytes: Uint8Array): Omit<IpPacket, 'payload' | 'bytes'> {
  return {
    source: ip6Text(bytes.subarray(8, 24)),
    destination: ip6Text(bytes.subarray(24, 40)),
    protocol: bytes[6]!,
    ttl: bytes[7]!,
  };
}

/** An ICMP message that both families have, as ICMPv6. */
export function icmp6(message: Icmp, source: string, destination: string): Uint8Array {
  const out = new Uint8Array(8 + message.payload.length);
  const v = view(out);
  v.setUint8(0, TYPES.get(message.type) ?? message.type);
  v.setUint8(1, message.type === ICMP_UNREACHABLE ? CODE_PORT6 : message.code);
  v.setUint32(4, message.rest);
  out.set(message.payload, 8);
  return seal(out, source, destination);
}

/** The other way round; null for what is damaged or has no name in IPv4. */
export function parseIcmp6({ source, destination, payload }: IpPacket): Icmp | null {
  if (payload.length < 8 || !isWhole(payload, source, destination)) return null;
  const [type] = [...TYPES].find(([, six]) => six === payload[0]) ?? [];
  if (type === undefined) return null;
  return { type, code: payload[1]!, rest: view(payload).getUint32(4), payload: payload.subarray(8) };
}

function seal(message: Uint8Array, source: string, destination: string): Uint8Array {
  const start = pseudo6(source, destination, PROTOCOL_ICMP6, message.length);
  view(message).setUint16(2, checksum(message, start));
  return message;
}

function isWhole(message: Uint8Array, source: string, destination: string): boolean {
  return checksum(message, pseudo6(source, destination, PROTOCOL_ICMP6, message.length)) === 0;
}

/** A neighbor solicitation or advertisement. */
export interface Discovery {
  readonly type: 'solicitation' | 'advertisement';
  readonly source: string;
  readonly destination: string;
  readonly target: string;
  /** Link-layer address of the sender (solicitation) or target. */
  readonly mac: string | null;
}

export function discovery({ type, source, destination, target, mac }: Discovery): Uint8Array {
  const out = new Uint8Array(32);
  out[0] = type === 'solicitation' ? SOLICITATION : ADVERTISEMENT;
  out[4] = type === 'solicitation' ? 0 : 0x60;
  out.set(ip6Bytes(target), 8);
  out[24] = type === 'solicitation' ? 1 : 2;
  out[25] = 1;
  out.set(macBytes(mac ?? '00:00:00:00:00:00'), 26);
  const payload = seal(out, source, destination);
  return ipv6({ source, destination, protocol: PROTOCOL_ICMP6, payload }, 255);
}

export function parseDiscovery({ source, destination, ttl, payload }: IpPacket): Discovery | null {
  if (payload.length < 24 || ttl !== 255 || !isWhole(payload, source, destination)) return null;
  if (payload[0] !== SOLICITATION && payload[0] !== ADVERTISEMENT) return null;
  const has = payload.length >= 32 && payload[25] === 1;
  return {
    ...{ type: payload[0] === SOLICITATION ? 'solicitation' : 'advertisement', source, destination },
    ...{ target: ip6Text(payload.subarray(8, 24)), mac: has ? macText(payload.subarray(26, 32)) : null },
  };
}

/** The solicited-node group of an address and its MAC (RFC 4291 section 2.7.1, RFC 2464 section 7). */
export function solicitedNode(address: string): { readonly group: string; readonly mac: string } {
  const tail = ip6Bytes(address).subarray(13);
  const group = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ...tail);
  return { group: ip6Text(group), mac: macText(Uint8Array.of(0x33, 0x33, 0xff, ...tail)) };
}
