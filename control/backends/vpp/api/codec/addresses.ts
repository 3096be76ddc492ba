/** Addresses, prefixes and MAC addresses: canonical text on our side (dotted quad, RFC 5952, `02:fe:00:00:00:01`). */
import { isIPv4, isIPv6 } from 'node:net';
import { formatIp, parseIp } from '../../../../common/ip.js';
import type { Value } from '../api.js';
import { DecodeError } from '../errors.js';
import { FieldProblem, type Reader } from './bytes.js';
import type { FixedCodec } from './codec.js';

function putIp4(bytes: Buffer, at: number, text: string): void {
  let octet = 0;
  let to = at;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 46) {
      bytes[to++] = octet;
      octet = 0;
    } else octet = octet * 10 + code - 48;
  }
  bytes[to] = octet;
}

function putIp6(bytes: Buffer, at: number, text: string): void {
  const { value } = parseIp(text);
  bytes.writeBigUInt64BE(value >> 64n, at);
  bytes.writeBigUInt64BE(value & 0xffffffffffffffffn, at + 8);
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

const isPlainIp6 = (text: string) => isIPv6(text) && !text.includes('%');

/** Family (0 IPv4, 1 IPv6), then sixteen bytes, of which an IPv4 address has the first four. */
function putAddress(bytes: Buffer, at: number, text: string): boolean {
  if (isIPv4(text)) putIp4(bytes, at + 1, text);
  else if (isPlainIp6(text)) {
    bytes[at] = 1;
    putIp6(bytes, at + 1, text);
  } else return false;
  return true;
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
  write: (bytes: Buffer, at: number, text: string) => boolean,
  read: (bytes: Buffer, at: number) => string,
): FixedCodec {
  return {
    size,
    initial: new Uint8Array(size),
    put(into, at, value: Value) {
      if (typeof value !== 'string' || !write(into.bytes, at, value)) {
        throw new FieldProblem(`must be ${what}`, value);
      }
    },
    read: (from: Reader) => read(from.bytes, from.take(size)),
  };
}

/** Splits `ADDRESS/LENGTH`, writes the length at `at + size`, the address by `write`. */
function prefix(
  size: number,
  bits: (text: string) => number,
  write: (b: Buffer, at: number, t: string) => boolean,
) {
  return (bytes: Buffer, at: number, text: string): boolean => {
    const slash = text.indexOf('/');
    const tail = text.slice(slash + 1);
    const length = Number(tail);
    if (slash < 0 || !/^\d{1,3}$/.test(tail)) return false;
    const address = text.slice(0, slash);
    if (length > bits(address) || !write(bytes, at, address)) return false;
    bytes[at + size] = length;
    return true;
  };
}

const ip4 = (bytes: Buffer, at: number, text: string) => {
  if (!isIPv4(text)) return false;
  putIp4(bytes, at, text);
  return true;
};

const ip6 = (bytes: Buffer, at: number, text: string) => {
  if (!isPlainIp6(text)) return false;
  putIp6(bytes, at, text);
  return true;
};

function mac(bytes: Buffer, at: number, text: string): boolean {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return false;
  bytes.write(text.replaceAll(':', ''), at, 'hex');
  return true;
}

/** User types that are text on our side, by the names VPP gives them. */
export const TEXTUAL: ReadonlyMap<string, FixedCodec> = new Map([
  ['ip4_address', textual(4, 'an IPv4 address', ip4, getIp4)],
  ['ip6_address', textual(16, 'an IPv6 address', ip6, getIp6)],
  ['address', textual(17, 'an IP address', putAddress, getAddress)],
  [
    'prefix',
    textual(
      18,
      'an address and a prefix length (10.1.2.0/24)',
      prefix(17, (address) => (address.includes(':') ? 128 : 32), putAddress),
      (bytes, at) => `${getAddress(bytes, at)}/${bytes[at + 17]}`,
    ),
  ],
  [
    'ip4_prefix',
    textual(
      5,
      'an IPv4 address and a prefix length',
      prefix(4, () => 32, ip4),
      (bytes, at) => `${getIp4(bytes, at)}/${bytes[at + 4]}`,
    ),
  ],
  [
    'ip6_prefix',
    textual(
      17,
      'an IPv6 address and a prefix length',
      prefix(16, () => 128, ip6),
      (bytes, at) => `${getIp6(bytes, at)}/${bytes[at + 16]}`,
    ),
  ],
  [
    'mac_address',
    textual(6, 'a MAC address', mac, (bytes, at) =>
      (bytes.toString('hex', at, at + 6).match(/../g) ?? []).join(':'),
    ),
  ],
]);
