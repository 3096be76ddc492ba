/** Builds and reads packets for tests, with real checksums; written from the RFCs, sharing nothing with the pipeline. */
import { ip, ipText, mac, macText } from './words.js';

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const SCTP = 132;

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const ACK = 16;

export function internetChecksum(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** RFC 9260 appendix A. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function join(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function ethernet(dst: string, src: string, type: number, payload: Uint8Array): Uint8Array {
  return join(mac(dst), mac(src), Uint8Array.of(type >> 8, type & 255), payload);
}

export interface Ip4Fields {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly payload: Uint8Array;
  readonly ttl?: number;
  readonly id?: number;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** Bytes. */
  readonly offset?: number;
  readonly options?: Uint8Array;
}

export function ip4(fields: Ip4Fields): Uint8Array {
  const options = fields.options ?? new Uint8Array();
  const header = new Uint8Array(20 + options.length);
  const v = view(header);
  header[0] = 0x40 | (header.length / 4);
  v.setUint16(2, header.length + fields.payload.length);
  v.setUint16(4, fields.id ?? 0);
  const flags = (fields.dontFragment ? 0x4000 : 0) | (fields.moreFragments ? 0x2000 : 0);
  v.setUint16(6, flags | ((fields.offset ?? 0) >> 3));
  header[8] = fields.ttl ?? 64;
  header[9] = fields.protocol;
  v.setUint32(12, ip(fields.src), true);
  v.setUint32(16, ip(fields.dst), true);
  header.set(options, 20);
  v.setUint16(10, internetChecksum(header));
  return join(header, fields.payload);
}

function pseudo(src: string, dst: string, protocol: number, length: number): number {
  const bytes = new Uint8Array(12);
  const v = view(bytes);
  v.setUint32(0, ip(src), true);
  v.setUint32(4, ip(dst), true);
  bytes[9] = protocol;
  v.setUint16(10, length);
  return ~internetChecksum(bytes) & 0xffff;
}

export interface Flow {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
}

export function tcp(flow: Flow, flags: number, data: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = join(new Uint8Array(20), data);
  const v = view(bytes);
  v.setUint16(0, flow.sport);
  v.setUint16(2, flow.dport);
  v.setUint32(4, 1000);
  bytes[12] = 0x50;
  bytes[13] = flags;
  v.setUint16(14, 65535);
  v.setUint16(16, internetChecksum(bytes, pseudo(flow.src, flow.dst, TCP, bytes.length)));
  return bytes;
}

export function udp(flow: Flow, data: Uint8Array = new Uint8Array(), checksum = true): Uint8Array {
  const bytes = join(new Uint8Array(8), data);
  const v = view(bytes);
  v.setUint16(0, flow.sport);
  v.setUint16(2, flow.dport);
  v.setUint16(4, bytes.length);
  if (checksum) {
    const sum = internetChecksum(bytes, pseudo(flow.src, flow.dst, UDP, bytes.length));
    v.setUint16(6, sum === 0 ? 0xffff : sum);
  }
  return bytes;
}

export function sctp(flow: Flow, data: Uint8Array): Uint8Array {
  const bytes = join(new Uint8Array(12), data);
  const v = view(bytes);
  v.setUint16(0, flow.sport);
  v.setUint16(2, flow.dport);
  v.setUint32(4, 0xdeadbeef);
  v.setUint32(8, crc32c(bytes), true);
  return bytes;
}

export function icmp(
  type: number,
  code: number,
  rest: number,
  data: Uint8Array = new Uint8Array(),
): Uint8Array {
  const bytes = join(new Uint8Array(8), data);
  const v = view(bytes);
  bytes[0] = type;
  bytes[1] = code;
  v.setUint32(4, rest);
  v.setUint16(2, internetChecksum(bytes));
  return bytes;
}

export function echo(id: number, sequence: number, reply = false, data?: Uint8Array): Uint8Array {
  return icmp(reply ? 0 : 8, 0, ((id << 16) | sequence) >>> 0, data);
}

export function arp(
  operation: 1 | 2,
  senderMac: string,
  senderIp: string,
  targetMac: string,
  targetIp: string,
): Uint8Array {
  const bytes = new Uint8Array(28);
  const v = view(bytes);
  v.setUint16(0, 1);
  v.setUint16(2, 0x0800);
  bytes[4] = 6;
  bytes[5] = 4;
  v.setUint16(6, operation);
  bytes.set(mac(senderMac), 8);
  v.setUint32(14, ip(senderIp), true);
  bytes.set(mac(targetMac), 18);
  v.setUint32(24, ip(targetIp), true);
  return bytes;
}

/** VXLAN payload of a UDP datagram. */
export function vxlan(vni: number, frame: Uint8Array): Uint8Array {
  const header = new Uint8Array(8);
  header[0] = 8;
  view(header).setUint32(4, vni << 8);
  return join(header, frame);
}

export interface Read {
  readonly ethernet: { readonly dst: string; readonly src: string; readonly type: number };
  readonly ip: {
    readonly src: string;
    readonly dst: string;
    readonly ttl: number;
    readonly protocol: number;
    readonly length: number;
    readonly dontFragment: boolean;
    readonly headerGood: boolean;
  };
  readonly sport: number;
  readonly dport: number;
  readonly tcpFlags: number;
  /** L4 checksum right (true for protocols without one, and for UDP's zero). */
  readonly l4Good: boolean;
  readonly icmpType: number;
  readonly icmpCode: number;
  /** Last 32 bits of the ICMP header. */
  readonly icmpRest: number;
  readonly l4: Uint8Array;
  readonly payload: Uint8Array;
}

/** Reads an IPv4 packet without its Ethernet header; `whole` false for quoted packets that are cut. */
export function readIp(bytes: Uint8Array, whole = true): Omit<Read, 'ethernet'> {
  const v = view(bytes);
  const header = ((bytes[0] ?? 0) & 15) * 4;
  const length = v.getUint16(2);
  const protocol = bytes[9] ?? 0;
  const src = ipText(v.getUint32(12, true));
  const dst = ipText(v.getUint32(16, true));
  const l4 = bytes.subarray(header, whole ? length : bytes.length);
  const w = view(l4);
  const fragment = (v.getUint16(6) & 0x1fff) !== 0;
  const ported = !fragment && (protocol === TCP || protocol === UDP || protocol === SCTP);
  let l4Good = true;
  if (!fragment && whole) {
    if (protocol === TCP) l4Good = internetChecksum(l4, pseudo(src, dst, protocol, l4.length)) === 0;
    if (protocol === UDP && w.getUint16(6) !== 0) {
      l4Good = internetChecksum(l4, pseudo(src, dst, protocol, l4.length)) === 0;
    }
    if (protocol === ICMP) l4Good = internetChecksum(l4) === 0;
    if (protocol === SCTP) {
      const copy = l4.slice();
      copy.fill(0, 8, 12);
      l4Good = crc32c(copy) === w.getUint32(8, true);
    }
  }
  const data = { [TCP]: 20, [UDP]: 8, [ICMP]: 8, [SCTP]: 12 }[protocol] ?? 0;
  const isIcmp = protocol === ICMP && !fragment;
  return {
    ip: {
      src,
      dst,
      ttl: bytes[8] ?? 0,
      protocol,
      length,
      dontFragment: (v.getUint16(6) & 0x4000) !== 0,
      headerGood: internetChecksum(bytes.subarray(0, header)) === 0,
    },
    sport: ported ? w.getUint16(0) : 0,
    dport: ported ? w.getUint16(2) : 0,
    tcpFlags: protocol === TCP && l4.length > 13 ? (l4[13] ?? 0) : 0,
    l4Good,
    icmpType: isIcmp ? (l4[0] ?? 0) : -1,
    icmpCode: isIcmp ? (l4[1] ?? 0) : -1,
    icmpRest: isIcmp ? w.getUint32(4) : 0,
    l4,
    payload: l4.subarray(fragment ? 0 : data),
  };
}

export function read(frame: Uint8Array): Read {
  return {
    ethernet: {
      dst: macText(frame.subarray(0, 6)),
      src: macText(frame.subarray(6, 12)),
      type: view(frame).getUint16(12),
    },
    ...readIp(frame.subarray(14)),
  };
}

export interface ReadArp {
  readonly operation: number;
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac: string;
  readonly targetIp: string;
}

export function readArp(frame: Uint8Array): ReadArp {
  const v = view(frame);
  return {
    operation: v.getUint16(20),
    senderMac: macText(frame.subarray(22, 28)),
    senderIp: ipText(v.getUint32(28, true)),
    targetMac: macText(frame.subarray(32, 38)),
    targetIp: ipText(v.getUint32(38, true)),
  };
}
