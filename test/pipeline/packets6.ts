/** IPv6 packets for tests, with real checksums; written from the RFCs, sharing nothing with the pipeline. */
import { crc32c, type Flow, internetChecksum, SCTP, TCP, UDP } from './packets.js';
import { ip6 as bytesOf, ip6Text, mac } from './words.js';

const ICMP6 = 58;
export const HOP_BY_HOP = 0;
export const ROUTING = 43;
const FRAGMENT = 44;
export const DESTINATION = 60;

export interface Ip6Fields {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly payload: Uint8Array;
  readonly hops?: number;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function ip6({ src, dst, protocol, payload, hops = 64 }: Ip6Fields): Uint8Array {
  const header = new Uint8Array(8);
  header[0] = 0x60;
  view(header).setUint16(4, payload.length);
  header[6] = protocol;
  header[7] = hops;
  return join(header, bytesOf(src), bytesOf(dst), payload);
}

/** Sum of the pseudo header (RFC 8200 section 8.1), as internetChecksum() takes it. */
function pseudo(src: Uint8Array, dst: Uint8Array, protocol: number, length: number): number {
  const tail = new Uint8Array(8);
  view(tail).setUint32(0, length);
  tail[7] = protocol;
  return ~internetChecksum(join(src, dst, tail)) & 0xffff;
}

function sealed(bytes: Uint8Array, at: number, src: string, dst: string, protocol: number): Uint8Array {
  const sum = internetChecksum(bytes, pseudo(bytesOf(src), bytesOf(dst), protocol, bytes.length));
  view(bytes).setUint16(at, sum === 0 && protocol === UDP ? 0xffff : sum);
  return bytes;
}

export function tcp6(flow: Flow, flags: number, data: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = join(new Uint8Array(20), data);
  const v = view(bytes);
  v.setUint16(0, flow.sport);
  v.setUint16(2, flow.dport);
  bytes[12] = 0x50;
  bytes[13] = flags;
  return ip6({ ...flow, protocol: TCP, payload: sealed(bytes, 16, flow.src, flow.dst, TCP) });
}

export function udp6(flow: Flow, data: Uint8Array = Uint8Array.of(1, 2, 3)): Uint8Array {
  return ip6({ ...flow, protocol: UDP, payload: udpSegment(flow, data) });
}

export function udpSegment(flow: Flow, data: Uint8Array): Uint8Array {
  const bytes = join(new Uint8Array(8), data);
  const v = view(bytes);
  v.setUint16(0, flow.sport);
  v.setUint16(2, flow.dport);
  v.setUint16(4, bytes.length);
  return sealed(bytes, 6, flow.src, flow.dst, UDP);
}

export function icmp6(src: string, dst: string, type: number, code: number, rest: Uint8Array): Uint8Array {
  return sealed(join(Uint8Array.of(type, code, 0, 0), rest), 2, src, dst, ICMP6);
}

/** An echo request, or its reply. */
export function echo6(src: string, dst: string, id: number, reply = false, size = 8): Uint8Array {
  const rest = join(Uint8Array.of(id >> 8, id & 255, 0, 1), new Uint8Array(size));
  return ip6({ src, dst, protocol: ICMP6, payload: icmp6(src, dst, reply ? 129 : 128, 0, rest) });
}

/** An error of this type that quotes `packet`. */
export function error6(
  src: string,
  dst: string,
  type: number,
  code: number,
  word: number,
  packet: Uint8Array,
): Uint8Array {
  const head = new Uint8Array(4);
  view(head).setUint32(0, word);
  return ip6({ src, dst, protocol: ICMP6, payload: icmp6(src, dst, type, code, join(head, packet)) });
}

/** A neighbor solicitation (135) or advertisement (136); flags are those of an advertisement. */
export function nd6(
  type: number,
  src: string,
  dst: string,
  target: string,
  link: string | null,
  { hops = 255, flags = 0 } = {},
): Uint8Array {
  const option = link === null ? new Uint8Array() : join(Uint8Array.of(type === 135 ? 1 : 2, 1), mac(link));
  const rest = join(Uint8Array.of(flags, 0, 0, 0), bytesOf(target), option);
  return ip6({ src, dst, protocol: ICMP6, hops, payload: icmp6(src, dst, type, 0, rest) });
}

/** The same packet with a header of this type in front of what it carries; `body` from its third byte on. */
export function extended(packet: Uint8Array, type: number, body: Uint8Array = new Uint8Array(6)): Uint8Array {
  const header = join(Uint8Array.of(packet[6] ?? 0, (body.length + 2) / 8 - 1), body);
  const out = join(packet.subarray(0, 40), header, packet.subarray(40));
  out[6] = type;
  view(out).setUint16(4, out.length - 40);
  return out;
}

/** The pieces of a packet, `size` bytes of payload each but the last. */
export function pieces(packet: Uint8Array, size: number, id: number): Uint8Array[] {
  const payload = packet.subarray(40);
  const out: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += size) {
    const part = payload.subarray(at, at + size);
    const header = new Uint8Array(8);
    header[0] = packet[6] ?? 0;
    view(header).setUint16(2, at | (at + size < payload.length ? 1 : 0));
    view(header).setUint32(4, id);
    const piece = join(packet.subarray(0, 40), header, part);
    piece[6] = FRAGMENT;
    view(piece).setUint16(4, piece.length - 40);
    out.push(piece);
  }
  return out;
}

export interface Read6 {
  readonly src: string;
  readonly dst: string;
  readonly hops: number;
  readonly protocol: number;
  readonly sport: number;
  readonly dport: number;
  /** Checksum of the transport header right (true where there is none). */
  readonly good: boolean;
  readonly l4: Uint8Array;
}

/** Reads a frame that carries IPv6 without extension headers. Addresses as ip6Text() writes them. */
export function read6(frame: Uint8Array): Read6 {
  return readIp6(frame.subarray(14));
}

export function readIp6(bytes: Uint8Array): Read6 {
  const protocol = bytes[6] ?? 0;
  const src = bytes.subarray(8, 24);
  const dst = bytes.subarray(24, 40);
  const l4 = bytes.subarray(40, 40 + view(bytes).getUint16(4));
  const checked = protocol === TCP || protocol === UDP || protocol === ICMP6;
  const ported = protocol === TCP || protocol === UDP || protocol === SCTP;
  let good = !checked || internetChecksum(l4, pseudo(src, dst, protocol, l4.length)) === 0;
  if (protocol === SCTP) {
    const copy = l4.slice();
    copy.fill(0, 8, 12);
    good = crc32c(copy) === view(l4).getUint32(8, true);
  }
  return {
    src: ip6Text(src),
    dst: ip6Text(dst),
    hops: bytes[7] ?? 0,
    protocol,
    sport: ported ? view(l4).getUint16(0) : 0,
    dport: ported ? view(l4).getUint16(2) : 0,
    good,
    l4,
  };
}

/** The text ip6Text() gives for an address. */
export const full = (address: string): string => ip6Text(bytesOf(address));
