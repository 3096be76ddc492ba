/** What the memory is, and where its regions are. */

export const LAYOUT_MAGIC = 0x50545250; // "PRTP"
export const LAYOUT_VERSION = 5;

// [0, 64 KiB): AssemblyScript's static data. Fixed regions follow; images, sessions and frames have run-time bases.
export const STATIC_BASE = 0x400;
export const CONTROL_BASE = 0x10000;
/** By the first byte of an IPv4 address: u8, 1 = nobody's own (RFC 1122 section 3.2.1.3). Written when the pipeline starts. */
export const MARTIANS_BASE = 0x1f000;
export const VECTOR_BASE = 0x20000;
/**
 * Behind the vector: VECTOR_CAPACITY x u32, the longest IP packet that an entry is sent as where the feed cuts it on its way out
 * (a TAP's packets), 0 = itself. Written by the feed.
 */
export const SEGMENTS_BASE = 0x24000;
export const OUTCOMES_BASE = 0x30000; // OUTCOME_COUNT x u64
export const SESSION_STATS_BASE = 0x31000; // SS_* u64 words
/** Worker: what is left of each limit: MAX_PORTS x 2 x BUCKET_SIZE. */
export const BUCKETS_BASE = 0x32000;
export const PORT_COUNTERS_BASE = 0x40000; // MAX_PORTS x PORT_COUNTER_SIZE
export const TRACE_BASE = 0x60000; // TRACE_CAPACITY x TRACE_SIZE ring
export const NEIGHBORS_BASE = 0x80000; // NEIGHBOR_CAPACITY x NEIGHBOR_SIZE
export const FRAGMENTS_BASE = 0xa0000; // FRAGMENT_CAPACITY x FRAGMENT_SIZE
/** Worker: tunnels by remote address, rebuilt at each new image: TUNNEL_SLOTS x (u32 address, u32 adjacency; 0 = empty). */
export const TUNNELS_BASE = 0xc0000;
export const TUNNEL_SLOTS = 16384;
/** NEIGHBOR6_CAPACITY x NEIGHBOR6_SIZE. */
export const NEIGHBORS6_BASE = 0xe0000;
export const AFFINITY_BASE = 0x100000; // AFFINITY_CAPACITY x AFFINITY_SIZE
export const RULE_COUNTERS_BASE = 0x200000; // MAX_RULES x u64: new connections the rule decided
export const SERVICE_COUNTERS_BASE = 0x280000; // MAX_SERVICES x 2 x u64: connections, packets
export const IMAGES_BASE = 0x400000; // two images of CTL_IMAGE_SIZE bytes each
/** With several workers SH_SIZE bytes follow the images (CTL_SHARED_BASE), then the sessions: one for all, as the images are. */

// Small tables that are one for all workers, in two stretches: the index of tunnels is each worker's own.
export const SMALL_BASE = NEIGHBORS_BASE; // and fragments
export const SMALL_END = TUNNELS_BASE;
export const SMALL6_BASE = NEIGHBORS6_BASE; // and affinity
export const SMALL6_END = RULE_COUNTERS_BASE;

export const MAX_PORTS = 1024;
export const MAX_RULES = 65536;
export const MAX_SERVICES = 65536;
export const MAX_WORKERS = 16;
