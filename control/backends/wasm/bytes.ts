/** Addresses as the pipeline's tables hold them: packet bytes read as little-endian words ("network" in dataplane-as/layout). */
import { InvalidInputError } from '../../common/errors.js';
import type { Cidr, Ip, Key, Mac, Protocol } from '../../ruleset/types.js';

/** An IPv4 prefix: `host` is the network address in host order, `word` the same as a table word. */
export interface Prefix4 {
  readonly host: number;
  readonly word: number;
  readonly length: number;
}

const DOT = 46;
const ZERO = 48;
const NINE = 57;

/** Swaps the bytes of a 32-bit word: host order to table word and back. */
export function swap32(v: number): number {
  return (((v & 0xff) << 24) | ((v & 0xff00) << 8) | ((v >>> 8) & 0xff00) | (v >>> 24)) >>> 0;
}

/** A port as a u16 loaded from the packet. */
export function swap16(v: number): number {
  return ((v & 0xff) << 8) | ((v >>> 8) & 0xff);
}

/** Host order value of an IPv4 address (canonical text), null for IPv6. */
export function ip4Host(text: Ip): number | null {
  let value = 0;
  let part = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      value = value * 256 + part;
      part = 0;
    } else if (code >= ZERO && code <= NINE) part = part * 10 + (code - ZERO);
    else return null;
  }
  return value * 256 + part;
}

/** An IPv4 address as a table word, null for IPv6. */
export function ip4Word(text: Ip): number | null {
  const host = ip4Host(text);
  return host === null ? null : swap32(host);
}

/** The first IPv4 address of a list as a table word, 0 when there is none. */
export function firstIp4(addresses: readonly Ip[]): number {
  for (const address of addresses) {
    const word = ip4Word(address);
    if (word !== null) return word;
  }
  return 0;
}

export function mask4(length: number): number {
  return length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
}

export function prefix4(host: number, length: number): Prefix4 {
  const network = (host & mask4(length)) >>> 0;
  return { host: network, word: swap32(network), length };
}

/** An IPv4 prefix, null for IPv6; host bits are cleared. */
export function parsePrefix4(cidr: Cidr): Prefix4 | null {
  const slash = cidr.indexOf('/');
  const host = ip4Host(slash < 0 ? cidr : cidr.slice(0, slash));
  return host === null ? null : prefix4(host, slash < 0 ? 32 : Number(cidr.slice(slash + 1)));
}

export function contains4(outer: Prefix4, host: number, length = 32): boolean {
  return outer.length <= length && (host & mask4(outer.length)) >>> 0 === outer.host;
}

/** Text of a table word. */
export function formatWord(word: number): Ip {
  return `${word & 255}.${(word >>> 8) & 255}.${(word >>> 16) & 255}.${word >>> 24}`;
}

/** The six bytes of a MAC address of item `object`. Throws InvalidInputError when it is none. */
export function macBytes(mac: Mac, object: Key): Uint8Array {
  const parts = mac.split(':').map((part) => Number.parseInt(part, 16));
  if (parts.length !== 6 || parts.some((part) => !(part >= 0 && part <= 255))) {
    throw new InvalidInputError('not a MAC address', { object, value: mac });
  }
  return Uint8Array.from(parts);
}

export const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };
