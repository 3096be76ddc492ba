/**
 * How a statistics segment lies in memory (VPP's `vlib/stats/shared.h`; the same from 23.02 to 26.06). Little endian. Pointers are
 * VPP's own addresses: less the header's base they are offsets.
 */

export const HEADER_SIZE = 40;
/** Words of 8 bytes. */
export const HEADER = { version: 0, base: 1, epoch: 2, inProgress: 3, directory: 4 } as const;
export const VERSION = 2;

export const ENTRY_SIZE = 144;
/** A u32 type, 4 unused bytes, a u64 value or pointer, then the name, ended by NUL. */
export const ENTRY_VALUE = 8;
export const ENTRY_NAME = 16;

export const TYPE = {
  scalar: 1,
  simple: 2,
  combined: 3,
  names: 4,
  empty: 5,
  symlink: 6,
  histogram: 7,
  ring: 8,
  gauge: 9,
} as const;

/** A vector's element count is the u32 so many bytes before its first element. */
export const VECTOR_COUNT = 8;

/** Words of 4 bytes at the start of a ring buffer; what follows is found by the two offsets. */
export const RING_SIZE = 28;
export const RING = {
  entrySize: 0,
  entries: 4,
  threads: 8,
  schemaSize: 12,
  schemaVersion: 16,
  metadata: 20,
  data: 24,
} as const;
/** One for each thread, a cache line each: u32 head, the next slot to be written; u64 at 8, how many were ever written. */
export const RING_METADATA_SIZE = 64;
export const RING_SEQUENCE = 8;
