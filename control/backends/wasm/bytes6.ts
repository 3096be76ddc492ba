/** IPv6 addresses and prefixes as the pipeline's tables hold them; and prefixes of either family. */
import { InvalidInputError } from '../../common/errors.js';
import { bitsOf, formatIp, maskOf, parseIp } from '../../common/ip.js';
import type { Cidr, Ip } from '../../ruleset/types.js';
import { contains4, type Prefix4, parsePrefix4, prefix4, swap32 } from './bytes.js';

/** The 16 bytes of an address as table words. */
export type Words6 = readonly [number, number, number, number];

/** An IPv6 prefix: `host` is the network address as a number, `words` the same as table words. */
export interface Prefix6 {
  readonly host: bigint;
  readonly words: Words6;
  readonly length: number;
}

export type Prefix = Prefix4 | Prefix6;

export const NO_ADDRESS6: Words6 = [0, 0, 0, 0];

export function isPrefix6(prefix: Prefix): prefix is Prefix6 {
  return typeof prefix.host === 'bigint';
}

function wordsOf(value: bigint): Words6 {
  const word = (shift: bigint): number => swap32(Number((value >> shift) & 0xffffffffn));
  return [word(96n), word(64n), word(32n), word(0n)];
}

/** Table words of an IPv6 address, null for IPv4. */
export function ip6Words(text: Ip): Words6 | null {
  return text.includes(':') ? wordsOf(parseIp(text).value) : null;
}

/** The first IPv6 address of a list, NO_ADDRESS6 when there is none. */
export function firstIp6(addresses: readonly Ip[]): Words6 {
  const address = addresses.find((text) => text.includes(':'));
  return (address === undefined ? null : ip6Words(address)) ?? NO_ADDRESS6;
}

function prefix6(host: bigint, length: number): Prefix6 {
  const network = host & maskOf(6, length);
  return { host: network, words: wordsOf(network), length };
}

/** Table words of the mask of a prefix length. */
export function mask6(length: number): Words6 {
  return wordsOf(maskOf(6, length));
}

/** A prefix of either family in canonical text; host bits are cleared, no length means one address. Throws InvalidInputError. */
export function parsePrefix(cidr: Cidr): Prefix {
  if (!cidr.includes(':')) {
    const prefix = parsePrefix4(cidr);
    if (prefix === null) throw new InvalidInputError('not a prefix', { value: cidr });
    return prefix;
  }
  const slash = cidr.indexOf('/');
  const address = slash < 0 ? cidr : cidr.slice(0, slash);
  return prefix6(parseIp(address).value, slash < 0 ? bitsOf(6) : Number(cidr.slice(slash + 1)));
}

/** The prefix of `length`, at most its own, that holds it. */
export function widen(prefix: Prefix, length: number): Prefix {
  return isPrefix6(prefix) ? prefix6(prefix.host, length) : prefix4(prefix.host, length);
}

export function containsPrefix(outer: Prefix, inner: Prefix): boolean {
  if (!isPrefix6(outer)) return !isPrefix6(inner) && contains4(outer, inner.host, inner.length);
  if (!isPrefix6(inner) || outer.length > inner.length) return false;
  return (inner.host & maskOf(6, outer.length)) === outer.host;
}

/** Unique over both families. */
export function prefixName(prefix: Prefix): string {
  return isPrefix6(prefix)
    ? `${prefix.host.toString(16)}:/${prefix.length}`
    : `${prefix.host}/${prefix.length}`;
}

/** Text of an address that lies in memory at `at`. */
export function readIp6(view: DataView, at: number): Ip {
  const value = (view.getBigUint64(at) << 64n) | view.getBigUint64(at + 8);
  return formatIp({ family: 6, value });
}
