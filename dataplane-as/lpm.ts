/**
 * Longest-prefix match: routes, identities and the SNAT lists, told apart by their space. A single address is found by one hash
 * probe, whatever holds shorter prefixes by a trie with at most six dependent loads, however many prefixes and lengths there are.
 * (ip6/lpm6.ts does the same for IPv6 with one hash probe for each length in use.)
 */
import { image } from './context';
import { homeOf } from './hash';
import {
  IMG_LPM4,
  IMG_LPM4_LOG2,
  IMG_TRIE4,
  LPM_USED,
  LPM4_ADDRESS,
  LPM4_META,
  LPM4_SHIFT,
  LPM4_VALUE,
  TRIE_CHILD,
  TRIE_ROOT_BITS,
  TRIE_VALUE,
} from './layout';

/** No prefix matches. */
export const MISS: u32 = 0xffffffff;

/** Value of the address (network order) as a prefix of its own, or MISS. */
export function lookupAddress4(space: u32, address: u32): u32 {
  const table = image + load<u32>(image, IMG_LPM4);
  const log2 = load<u32>(image, IMG_LPM4_LOG2);
  const mask = ((<u32>1) << log2) - 1;
  const meta = <u32>LPM_USED | (space << 8) | 32;
  const home = homeOf(address, meta, log2);
  // The bound only matters for a full table, which the control plane never writes.
  for (let i: u32 = 0; i <= mask; i++) {
    const slot = table + (((home + i) & mask) << LPM4_SHIFT);
    const found = load<u32>(slot, LPM4_META);
    if (found === meta && load<u32>(slot, LPM4_ADDRESS) === address) return load<u32>(slot, LPM4_VALUE);
    if (found === 0) break;
  }
  return MISS;
}

/** Value of the longest prefix of `space` that holds `address` (network order), or MISS. */
export function lookup4(space: u32, address: u32): u32 {
  const own = lookupAddress4(space, address);
  return own === MISS ? lookupPrefix(space, address) : own;
}

/** As lookup4, for an address that is no prefix of its own. */
export function lookupPrefix(space: u32, address: u32): u32 {
  const tries = image + load<u32>(image, IMG_TRIE4);
  const host = bswap<u32>(address);
  let word = load<u32>(tries + (((space << TRIE_ROOT_BITS) | (host >> (32 - TRIE_ROOT_BITS))) << 2));
  let shift: u32 = 32 - TRIE_ROOT_BITS;
  while (word & <u32>TRIE_CHILD) {
    shift -= 4;
    // The shift drops TRIE_CHILD.
    word = load<u32>(tries + (word << 6) + (((host >> shift) & 15) << 2));
  }
  return word === 0 ? MISS : word & TRIE_VALUE;
}
