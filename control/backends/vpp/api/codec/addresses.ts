/** Addresses, prefixes and MAC addresses: canonical text on our side (dotted quad, RFC 5952, `02:fe:00:00:00:01`). */
import { isIPv6 } from 'node:net';
import { formatIp, parseIp } from '../../../../common/ip.js';
import type { Value } from '../api.js';
import { DecodeError } from '../errors.js';
import { FieldProblem, type Reader } from './bytes.js';
import type { FixedCodec } from './codec.js';

const SLASH = 47;
const COLON = 58;
const ZERO = 48;
/** As a digit: 46 - ZERO. */
const DOT = -2;

/**
 * Writes the dotted quad that a text begins with; returns where it ends, 0 if there is none (leading zeros are none, as for node:net).
 * What was written until then is of no account.
 */
function putIp4(bytes: Buffer, at: number, text: string): number {
  let octet = -1;
  let to = at;
  let i = 0;
  for (; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit >= 0 && digit <= 9) {
      if (octet === 0) return 0;
      octet = octet < 0 ? digit : octet * 10 + digit;
      if (octet > 255) return 0;
    } else if (digit === DOT && octet >= 0 && to < at + 3) {
      bytes[to++] = octet;
      octet = -1;
    } else break;
  }
  if (octet < 0 || to !== at + 3) return 0;
  bytes[to] = octet;
  return i;
}

/** The same of IPv6; it ends with the text, or with a slash. */
function putIp6(bytes: Buffer, at: number, text: string): number {
  const slash = text.indexOf('/');
  const end = slash < 0 ? text.length : slash;
  const address = slash < 0 ? text : text.slice(0, slash);
  if (!isIPv6(address) || address.includes('%')) return 0;
  if (address.includes('.')) {
    const { value } = parseIp(address);
    bytes.writeBigUInt64BE(value >> 64n, at);
    bytes.writeBigUInt64BE(value & 0xffffffffffffffffn, at + 8);
  } else putGroups(bytes, at, address);
  return end;
}

/** Hexadecimal groups, two of them perhaps with nothing between. */
function putGroups(bytes: Buffer, at: number, text: string): void {
  const end = at + 16;
  let to = at;
  let gap = -1;
  let group = -1;
  const put = () => {
    if (group < 0) return;
    bytes[to++] = group >>> 8;
    bytes[to++] = group;
    group = -1;
  };
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === COLON) {
      put();
      if (text.charCodeAt(i + 1) === COLON) gap = to;
      continue;
    }
    // 0-9, and a-f or A-F.
    const digit = code <= ZERO + 9 ? code - ZERO : (code | 32) - 87;
    group = (group < 0 ? 0 : group << 4) | digit;
  }
  put();
  if (gap < 0) return;
  const tail = to - gap;
  bytes.copyWithin(end - tail, gap, to);
  for (let i = gap; i < end - tail; i++) bytes[i] = 0;
}

function getIp4(bytes: Buffer, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

function getIp6(bytes: Buffer, at: number): string {
  return formatIp({
    family: 6,
    value: (bytes.readBigUInt64BE(at) << 64n) | bytes.readBigUInt64BE(at + 8),
  });
}

/** Family (0 IPv4, 1 IPv6), then sixteen bytes, of which an IPv4 address has the first four. */
function putAddress(bytes: Buffer, at: number, text: string): number {
  const end = putIp4(bytes, at + 1, text);
  if (end > 0 && (end === text.length || text.charCodeAt(end) === SLASH)) return end;
  bytes[at] = 1;
  return putIp6(bytes, at + 1, text);
}

function getAddress(bytes: Buffer, at: number): string {
  const family = bytes[at];
  if (family === 0) return getIp4(bytes, at + 1);
  if (family === 1) return getIp6(bytes, at + 1);
  throw new DecodeError('no address family', { value: family });
}

function textual(
  size: number,
  what: string,
  write: (bytes: Buffer, at: number, text: string) => number,
  read: (bytes: Buffer, at: number) => string,
): FixedCodec {
  return {
    size,
    initial: new Uint8Array(size),
    put(into, at, value: Value) {
      if (typeof value !== 'string' || write(into.bytes, at, value) !== value.length || value === '') {
        throw new FieldProblem(`must be ${what}`, value);
      }
    },
    read: (from: Reader) => read(from.bytes, from.take(size)),
  };
}

/** Writes `ADDRESS/LENGTH`: the address by `write`, the length behind its `size` bytes (17: the first is the family). */
function prefix(size: number, write: (bytes: Buffer, at: number, text: string) => number, limit: 32 | 128) {
  return (bytes: Buffer, at: number, text: string): number => {
    const end = write(bytes, at, text);
    if (end === 0 || text.charCodeAt(end) !== SLASH) return 0;
    const length = decimal(text, end + 1);
    if (length < 0 || length > (size === 17 && bytes[at] === 0 ? 32 : limit)) return 0;
    bytes[at + size] = length;
    return text.length;
  };
}

/** One to three digits from `start` to the end; -1 if it is anything else. */
function decimal(text: string, start: number): number {
  const digits = text.length - start;
  if (digits < 1 || digits > 3) return -1;
  let number = 0;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i) - ZERO;
    if (code < 0 || code > 9) return -1;
    number = number * 10 + code;
  }
  return number;
}

function putMac(bytes: Buffer, at: number, text: string): number {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return 0;
  bytes.write(text.replaceAll(':', ''), at, 'hex');
  return text.length;
}

/** User types that are text on our side, by the names VPP gives them. */
export const TEXTUAL: ReadonlyMap<string, FixedCodec> = new Map([
  ['ip4_address', textual(4, 'an IPv4 address', putIp4, getIp4)],
  ['ip6_address', textual(16, 'an IPv6 address', putIp6, getIp6)],
  ['address', textual(17, 'an IP address', putAddress, getAddress)],
  [
    'prefix',
    textual(
      18,
      'an address and a prefix length (10.1.2.0/24)',
      prefix(17, putAddress, 128),
      (bytes, at) => `${getAddress(bytes, at)}/${bytes[at + 17]}`,
    ),
  ],
  [
    'ip4_prefix',
    textual(
      5,
      'an IPv4 address and a prefix length',
      prefix(4, putIp4, 32),
      (bytes, at) => `${getIp4(bytes, at)}/${bytes[at + 4]}`,
    ),
  ],
  [
    'ip6_prefix',
    textual(
      17,
      'an IPv6 address and a prefix length',
      prefix(16, putIp6, 128),
      (bytes, at) => `${getIp6(bytes, at)}/${bytes[at + 16]}`,
    ),
  ],
  [
    'mac_address',
    textual(6, 'a MAC address', putMac, (bytes, at) =>
      (bytes.toString('hex', at, at + 6).match(/../g) ?? []).join(':'),
    ),
  ],
]);
