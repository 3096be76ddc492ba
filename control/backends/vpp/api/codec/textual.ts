/** User types that are text on our side, by the names VPP gives them. */
import type { Value } from '../api.js';
import { getAddress, getIp4, getIp6, getMac, putAddress, putIp4, putIp6, putMac } from './addresses.js';
import { FieldProblem, type Reader } from './bytes.js';
import type { FixedCodec } from './codec.js';
import { PrefixCodec, prefix } from './prefixes.js';

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

const IP4_PREFIX = prefix(4, putIp4, 32);
const IP6_PREFIX = prefix(16, putIp6, 128);

/** Each call makes a codec: some remember what they wrote last, and are for one field. */
export const TEXTUAL: ReadonlyMap<string, () => FixedCodec> = new Map([
  ['ip4_address', () => textual(4, 'an IPv4 address', putIp4, getIp4)],
  ['ip6_address', () => textual(16, 'an IPv6 address', putIp6, getIp6)],
  ['address', () => textual(17, 'an IP address', putAddress, getAddress)],
  ['prefix', () => new PrefixCodec()],
  [
    'ip4_prefix',
    () =>
      textual(
        5,
        'an IPv4 address and a prefix length',
        IP4_PREFIX,
        (bytes, at) => `${getIp4(bytes, at)}/${bytes[at + 4]}`,
      ),
  ],
  [
    'ip6_prefix',
    () =>
      textual(
        17,
        'an IPv6 address and a prefix length',
        IP6_PREFIX,
        (bytes, at) => `${getIp6(bytes, at)}/${bytes[at + 16]}`,
      ),
  ],
  ['mac_address', () => textual(6, 'a MAC address', putMac, getMac)],
]);
