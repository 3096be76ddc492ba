// biome-ignore-all lint/correctness/noPrecisionLoss: these are 64-bit integers, not JavaScript numbers.
/** The two hashes: one fixed by the format of the images, one of our own, seeded, for sessions. */
import { HASH_A, HASH_B, HASH_C, HASH_D } from './layout';

/** Home of two words in an image's table of 2^log2 slots, log2 from 1 to 31; see HASH_A in dataplane-as/layout. */
export function homeOf(a: u32, b: u32, log2: u32): u32 {
  return ((a * <u32>HASH_A) ^ ((b + <u32>HASH_B) * <u32>HASH_C)) >> (32 - log2);
}

/** All bits of two words mixed; see HASH_A in dataplane-as/layout. */
export function imageHash(a: u32, b: u32): u32 {
  let h = (a * <u32>HASH_A) ^ ((b + <u32>HASH_B) * <u32>HASH_C);
  h ^= h >> 15;
  h *= <u32>HASH_D;
  return h ^ (h >> 13);
}

/**
 * Hash of a tuple: `addresses` = source | destination << 32, `key` = ports | protocol << 32, all as loaded. Seeded, so that
 * nobody outside can choose tuples that share a window; `salt` is the seed.
 */
export function sessionHash(addresses: u64, key: u64, salt: u64): u32 {
  let h = (addresses ^ salt) * 0x9e3779b97f4a7c15;
  h ^= h >> 32;
  h = (h + key) * 0xd6e8feb86659fd93;
  // Ports come in rows: one more round, or the products of a row lie as regularly and crowd some windows.
  h ^= h >> 32;
  h *= 0x9e3779b97f4a7c15;
  return <u32>(h >> 32);
}

/**
 * Hash by which a new connection chooses its slot. Not seeded: with equal slot tables every node chooses the same backend
 * for the same tuple.
 */
export function slotHash(addresses: u64, key: u64): u32 {
  let h = addresses * 0xff51afd7ed558ccd;
  h ^= h >> 33;
  h = (h + key) * 0xc4ceb9fe1a85ec53;
  return <u32>(h >> 32);
}
