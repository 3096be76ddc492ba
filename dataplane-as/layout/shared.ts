/** What several workers share. */

// Offsets from CTL_SHARED_BASE.
/** control, atomic: address of the image in force, in place of CTL_ACTIVE_IMAGE. */
export const SH_ACTIVE_IMAGE = 0;
/** What is left of each limit, in place of BUCKETS_BASE: MAX_PORTS x 2 x BUCKET_SIZE. */
export const SH_BUCKETS = 0x1000;
/**
 * Workers x workers rings, by who writes and then by who reads, each RING_SLOTS + slots x RECORD_SIZE bytes. Of a worker's ring to itself
 * only RING_HEAD is used: the latest R_STAMP.
 */
export const SH_RINGS = 0x10000;
export const RING_HEAD = 0; // u32, who writes: slots written so far
export const RING_TAIL = 64; // u32, who reads: slots read so far
export const RING_SLOTS = 128;
// A bucket that several workers take from.
export const SB_FILLED = 0; // u64: when the bucket will be full of debt again, milliseconds << 32
export const SB_RATE = 8; // u32: the rate it was filled by

/**
 * A record is one slot, or two. What is told of a session is its first line with the following changes; the second slot has the
 * addresses of an IPv6 one (S6_*).
 */
export const RECORD_SIZE = 64;
export const RECORD_SHIFT = 6;
/** Which kind (RK_*): the last two bytes of the slot, whatever else it holds. */
export const R_KIND = 62;
export const R_REPLY_ADJACENCY = 20; // in place of S_PEER
/** u32, of every record: rises with all that its writer has written or read; in place of S_IP_DELTA and S_L4_DELTA, which follow from the rest. */
export const R_STAMP = 36;
export const R_REPLY_FLAGS = 60; // u16: S_FLAGS of the other line, in place of S_PACKETS
export const RK_MASK = 0xff;
export const RK_SIX = 0x100;
export const RK_ANSWERED = 0x200; // a packet of the other direction was seen
export const RK_OPEN = 1; // a connection, new to who reads it
export const RK_STATE = 2; // its state, and when it was seen last
export const RK_END = 3; // it is over
export const RK_SILENT = 4; // nobody answered RK_ASK: it is over, unless it was seen meanwhile
export const RK_ASK = 5; // has anybody seen it lately?
export const RK_AFFINITY = 6; // an entry of that table, as it is
export const RK_NEIGHBOR = 7;
export const RK_NEIGHBOR6 = 8; // two slots: the entry whole
export const RK_FRAGMENT = 9;
