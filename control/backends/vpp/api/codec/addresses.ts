/** Addresses, prefixes and MAC addresses: canonical text on our side (dotted quad, RFC 5952, `02:fe:00:00:00:01`). */
import { isIPv6 } from 'node:net';
import { formatIp, parseIp } from '../../../../common/ip.js';
import { DecodeError } from '../errors.js';

export const SLASH = 47;
const COLON = 58;
export const ZERO = 48;
/** As a digit: 46 - ZERO. */
const DOT = -2;

/**
 * Writes the dotted quad that a text begins with; returns where it ends, 0 if there is none (leading zeros are none, as for node:net).
 * What was written until then is of no account.
 */
export function putIp4(bytes: Buffer, at: number, text: string): number {
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
export function putIp6(bytes: Buffer, at: number, text: string): number {
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

export function getIp4(bytes: Buffer, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

export function getIp6(bytes: Buffer, at: number): string {
  return formatIp({
    family: 6,
    value: (bytes.readBigUInt64BE(at) << 64n) | bytes.readBigUInt64BE(at + 8),
  });
}

/** Family (0 IPv4, 1 IPv6), then sixteen bytes, of which an IPv4 address has the first four. */
export function putAddress(bytes: Buffer, at: number, text: string): number {
  const end = putIp4(bytes, at + 1, text);
  if (end > 0 && (end === text.length || text.charCodeAt(end) === SLASH)) return end;
  bytes[at] = 1;
  return putIp6(bytes, at + 1, text);
}

export function getAddress(bytes: Buffer, at: number): string {
  const family = bytes[at];
  if (family === 0) return getIp4(bytes, at + 1);
  if (family === 1) return getIp6(bytes, at + 1);
  throw new DecodeError('no address family', { value: family });
}

export function putMac(bytes: Buffer, at: number, text: string): number {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return 0;
  bytes.write(text.replaceAll(':', ''), at, 'hex');
  return text.length;
}

export function getMac(bytes: Buffer, at: number): string {
  return (bytes.toString('hex', at, at + 6).match(/../g) ?? []).join(':');
}
