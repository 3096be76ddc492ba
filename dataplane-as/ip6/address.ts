/** 128-bit addresses: everywhere a pointer to 16 bytes in network order, inside a packet, a table or a few words of our own. */
import { change32 } from '../checksum';
import { imageHash } from '../hash';

/** Bytes of an address. */
export const ADDRESS: u32 = 16;

export function same(a: usize, b: usize): bool {
  return ((load<u64>(a) ^ load<u64>(b)) | (load<u64>(a, 8) ^ load<u64>(b, 8))) === 0;
}

/** The unspecified address; in a table: there is none. */
export function isZero(a: usize): bool {
  return (load<u64>(a) | load<u64>(a, 8)) === 0;
}

export function copy(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
}

/** ff00::/8 */
export function isMulticast(a: usize): bool {
  return load<u8>(a) === 0xff;
}

/** fe80::/10 */
export function isLinkLocal(a: usize): bool {
  return (load<u16>(a) & 0xc0ff) === 0x80fe;
}

/**
 * Never on a wire as somebody's address: unspecified, loopback, IPv4-compatible (all ::/96) and IPv4-mapped (::ffff:0:0/96)
 * (RFC 4291 section 2.5, RFC 4942 section 2.2).
 */
export function isReserved(a: usize): bool {
  if (load<u64>(a) !== 0) return false;
  const third = load<u32>(a, 8);
  return third === 0 || third === 0xffff0000;
}

/** Do the first `length` bits agree? */
export function inPrefix(a: usize, b: usize, length: u32): bool {
  const high = bswap<u64>(load<u64>(a) ^ load<u64>(b));
  if (length < 64) return length === 0 || high >> (64 - length) === 0;
  if (high !== 0) return false;
  const low = bswap<u64>(load<u64>(a, 8) ^ load<u64>(b, 8));
  return length === 64 || low >> (128 - min<u32>(length, 128)) === 0;
}

/** What changing one address for another adds to a checksum's sum (RFC 1624). */
export function changeAddress(before: usize, after: usize): u64 {
  let sum: u64 = 0;
  for (let i: usize = 0; i < 16; i += 4) sum += change32(load<u32>(before + i), load<u32>(after + i));
  return sum;
}

/** Hash of an address and a word, as the comment at LPM6_SIZE in dataplane-as/layout says. */
export function imageHash6(a: usize, word: u32): u32 {
  let h = imageHash(load<u32>(a), word);
  h = imageHash(h, load<u32>(a, 4));
  h = imageHash(h, load<u32>(a, 8));
  return imageHash(h, load<u32>(a, 12));
}
