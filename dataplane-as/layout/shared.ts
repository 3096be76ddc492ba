/** What several workers share beside the images and the sessions, and what of the fixed regions they have in common. */

// Offsets from CTL_SHARED_BASE.
/** control, atomic: address of the image in force, in place of CTL_ACTIVE_IMAGE. */
export const SH_ACTIVE_IMAGE = 0;
/**
 * u32, atomic: who may change what they share. The low LOCK_HOLDER_BITS: which worker, counted from 1, 0 = nobody; above them how often it
 * was taken.
 */
export const SH_LOCK = 64;
export const LOCK_HOLDER_BITS = 8;
/** u32, atomic: entries of SH_REMOVED written so far; rises before a line is taken from its connection. */
export const SH_REMOVALS = 128;
/** What is left of each limit, in place of BUCKETS_BASE: MAX_PORTS x 2 x BUCKET_SIZE. */
export const SH_BUCKETS = 0x1000;
/** The latest session lines that were taken from their connections: REMOVED_CAPACITY x u32, addresses. */
export const SH_REMOVED = 0x9000;
export const REMOVED_CAPACITY = 4096;
export const SH_SIZE = 0x10000;
// A bucket that several workers take from.
export const SB_FILLED = 0; // u64: when the bucket will be full of debt again, milliseconds << 32
export const SB_RATE = 8; // u32: the rate it was filled by
