/** Longest-prefix match: one hash of prefixes serves routes, identities and the SNAT lists, told apart by their space. */
import { image } from './context';
import { imageHash } from './hash';
import {
  IMG_LENGTHS4,
  IMG_LPM4,
  IMG_LPM4_LOG2,
  LPM_USED,
  LPM4_ADDRESS,
  LPM4_META,
  LPM4_SHIFT,
  LPM4_VALUE,
} from './layout';

/** No prefix matches. */
export const MISS: u32 = 0xffffffff;

/** Value of the longest prefix of `space` that holds `address` (network order), or MISS. */
export function lookup4(space: u32, address: u32): u32 {
  let lengths = load<u64>(image + (space << 3), IMG_LENGTHS4) & 0x1ffffffff;
  const table = image + load<u32>(image, IMG_LPM4);
  const mask = ((<u32>1) << load<u32>(image, IMG_LPM4_LOG2)) - 1;
  while (lengths !== 0) {
    const length = 63 - <u32>clz(lengths);
    lengths ^= (<u64>1) << length;
    const prefix = length === 0 ? 0 : address & bswap<u32>((<u32>0xffffffff) << (32 - length));
    const meta = <u32>LPM_USED | (space << 8) | length;
    const home = imageHash(prefix, meta);
    // The bound only matters for a full table, which the control plane never writes.
    for (let i: u32 = 0; i <= mask; i++) {
      const slot = table + (((home + i) & mask) << LPM4_SHIFT);
      const found = load<u32>(slot, LPM4_META);
      if (found === 0) break;
      if (found === meta && load<u32>(slot, LPM4_ADDRESS) === prefix) return load<u32>(slot, LPM4_VALUE);
    }
  }
  return MISS;
}
