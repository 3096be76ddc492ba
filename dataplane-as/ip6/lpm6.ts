/** Longest-prefix match for IPv6: the spaces of lpm.ts, and SPACE_FRONTEND. */
import { image } from '../context';
import {
  IMG_LENGTHS6,
  IMG_LPM6,
  IMG_LPM6_LOG2,
  LPM_USED,
  LPM6_META,
  LPM6_SHIFT,
  LPM6_VALUE,
} from '../layout';
import { MISS } from '../lpm';
import { imageHash6, same } from './address';

/** The address under its mask. */
const PREFIX: usize = memory.data(16, 16);

/** Value of the longest prefix of `space` that holds the address, or MISS. */
export function lookup6(space: u32, address: usize): u32 {
  const bits = image + space * 24 + IMG_LENGTHS6;
  const table = image + load<u32>(image, IMG_LPM6);
  const mask = ((<u32>1) << load<u32>(image, IMG_LPM6_LOG2)) - 1;
  for (let word: i32 = 2; word >= 0; word--) {
    let lengths = load<u64>(bits + (word << 3));
    while (lengths !== 0) {
      const bit = 63 - <u32>clz(lengths);
      lengths ^= (<u64>1) << bit;
      const value = at(table, mask, space, address, ((<u32>word) << 6) + bit);
      if (value !== MISS) return value;
    }
  }
  return MISS;
}

/** Value of the address as a prefix of its own, or MISS. */
export function lookupAddress6(space: u32, address: usize): u32 {
  const table = image + load<u32>(image, IMG_LPM6);
  return at(table, ((<u32>1) << load<u32>(image, IMG_LPM6_LOG2)) - 1, space, address, 128);
}

function at(table: usize, mask: u32, space: u32, address: usize, length: u32): u32 {
  if (length > 128) return MISS;
  cut(address, length);
  const meta = <u32>LPM_USED | (space << 8) | length;
  const home = imageHash6(PREFIX, meta);
  // The bound only matters for a full table, which the control plane never writes.
  for (let i: u32 = 0; i <= mask; i++) {
    const slot = table + (((home + i) & mask) << LPM6_SHIFT);
    const found = load<u32>(slot, LPM6_META);
    if (found === 0) break;
    if (found === meta && same(slot, PREFIX)) return load<u32>(slot, LPM6_VALUE);
  }
  return MISS;
}

function cut(address: usize, length: u32): void {
  const high: u64 = length >= 64 ? u64.MAX_VALUE : length === 0 ? 0 : u64.MAX_VALUE << (64 - length);
  const low: u64 = length >= 128 ? u64.MAX_VALUE : length <= 64 ? 0 : u64.MAX_VALUE << (128 - length);
  store<u64>(PREFIX, load<u64>(address) & bswap<u64>(high));
  store<u64>(PREFIX, load<u64>(address, 8) & bswap<u64>(low), 8);
}
