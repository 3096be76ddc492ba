/**
 * Address arithmetic for IPv4 and IPv6. Addresses are text at every border (canonical: dotted quad, RFC 5952) and
 * bigint inside; nothing here is on the packet path.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { InvalidInputError } from './errors.js';

export type Family = 4 | 6;

export interface ParsedIp {
  readonly family: Family;
  /** The address as an unsigned integer in network order (32 or 128 bits). */
  readonly value: bigint;
}

export interface ParsedCidr extends ParsedIp {
  /** Prefix length: 0-32 or 0-128. `value` has its host bits cleared. */
  readonly length: number;
}

export function bitsOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** Parses an address; IPv4-mapped IPv6 stays IPv6. Throws InvalidInputError. */
export function parseIp(text: string): ParsedIp {
  if (isIPv4(text)) {
    const [a, b, c, d] = text.split('.').map(Number) as [number, number, number, number];
    return { family: 4, value: BigInt(((a << 24) | (b << 16) | (c << 8) | d) >>> 0) };
  }
  if (isIPv6(text) && !text.includes('%')) return { family: 6, value: parseIp6(text) };
  throw new InvalidInputError('not an IP address', { value: text });
}

function parseIp6(text: string): bigint {
  let s = text;
  const dot = s.lastIndexOf(':');
  if (s.includes('.')) {
    const v4 = parseIp(s.slice(dot + 1)).value;
    s = `${s.slice(0, dot + 1)}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  }
  const [head = '', tail] = s.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  return groups.reduce((acc, g) => (acc << 16n) | BigInt(`0x${g}`), 0n);
}

/** The canonical text of an address (RFC 5952 for IPv6). */
export function formatIp(ip: ParsedIp): string {
  if (ip.family === 4) {
    const v = Number(ip.value);
    return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`;
  }
  const groups = Array.from({ length: 8 }, (_, i) => Number((ip.value >> BigInt(112 - 16 * i)) & 0xffffn));
  let best = { at: -1, size: 1 };
  for (let i = 0; i < 8; i++) {
    let j = i;
    while (j < 8 && groups[j] === 0) j++;
    if (j - i > best.size) best = { at: i, size: j - i };
  }
  const hex = groups.map((g) => g.toString(16));
  if (best.at < 0) return hex.join(':');
  return `${hex.slice(0, best.at).join(':')}::${hex.slice(best.at + best.size).join(':')}`;
}

/** Parses `address/length`; host bits are cleared. Throws InvalidInputError. */
export function parseCidr(text: string): ParsedCidr {
  const slash = text.indexOf('/');
  const tail = text.slice(slash + 1);
  if (slash < 0 || !/^\d{1,3}$/.test(tail)) throw new InvalidInputError('not a CIDR', { value: text });
  const ip = parseIp(text.slice(0, slash));
  const length = Number(tail);
  if (length > bitsOf(ip.family)) throw new InvalidInputError('prefix length out of range', { value: text });
  return { family: ip.family, value: ip.value & maskOf(ip.family, length), length };
}

export function formatCidr(cidr: ParsedCidr): string {
  return `${formatIp(cidr)}/${cidr.length}`;
}

export function maskOf(family: Family, length: number): bigint {
  const bits = BigInt(bitsOf(family));
  return ((1n << BigInt(length)) - 1n) << (bits - BigInt(length));
}

/** An address or a CIDR as a CIDR (an address becomes /32 or /128). */
export function toCidr(text: string): ParsedCidr {
  if (text.includes('/')) return parseCidr(text);
  const ip = parseIp(text);
  return { ...ip, length: bitsOf(ip.family) };
}

export function cidrContains(outer: ParsedCidr, inner: ParsedIp | ParsedCidr): boolean {
  const innerLength = 'length' in inner ? inner.length : bitsOf(inner.family);
  return (
    outer.family === inner.family &&
    outer.length <= innerLength &&
    (inner.value & maskOf(outer.family, outer.length)) === outer.value
  );
}

/** The address at `offset` inside the CIDR (0 = network address). Throws if outside. */
export function hostAt(cidr: ParsedCidr, offset: number | bigint): ParsedIp {
  const size = 1n << BigInt(bitsOf(cidr.family) - cidr.length);
  const at = BigInt(offset);
  if (at < 0n || at >= size) {
    throw new InvalidInputError(`offset outside ${formatCidr(cidr)}`, { value: String(offset) });
  }
  return { family: cidr.family, value: cidr.value + at };
}

/** The `index`-th block of prefix length `length` inside the CIDR. Throws if outside. */
export function subnetAt(cidr: ParsedCidr, length: number, index: number | bigint): ParsedCidr {
  const count = 1n << BigInt(length - cidr.length);
  const at = BigInt(index);
  if (length < cidr.length || at < 0n || at >= count) {
    throw new InvalidInputError(`no such /${length} inside ${formatCidr(cidr)}`, { value: String(index) });
  }
  return {
    family: cidr.family,
    value: cidr.value + (at << BigInt(bitsOf(cidr.family) - length)),
    length,
  };
}

export function canonicalIp(text: string): string {
  return formatIp(parseIp(text));
}

export function canonicalCidr(text: string): string {
  return formatCidr(parseCidr(text));
}

export function compareCidr(a: ParsedCidr, b: ParsedCidr): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  return a.length - b.length;
}
