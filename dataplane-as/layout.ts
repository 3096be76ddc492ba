/**
 * The one description of the shared memory: compiled by asc into the pipeline and by tsc into the control plane.
 *
 * Only `export const NAME = <integer expression>` lives here, so that both compilers agree. Integers in tables are
 * little-endian unless a comment says "network": those hold packet bytes as they lie in the packet, so that the pipeline
 * compares and copies them without swapping. test/golden/layout holds every value; a change there is a change of format.
 *
 * Who writes what: images by the control thread only (left-right: the spare image is written, published by one atomic store
 * of CTL_ACTIVE_IMAGE, acknowledged by the worker in CTL_ACK_IMAGE, then the same operations are applied to the other one);
 * everything else by the worker only, except words marked "control".
 */

export const LAYOUT_MAGIC = 0x50545250; // "PRTP"
export const LAYOUT_VERSION = 4;

// ---------------------------------------------------------------------------------------------- memory map
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
/** With several workers a region follows the images that all of them share, as they share those (CTL_SHARED_BASE). */

export const MAX_PORTS = 1024;
export const MAX_RULES = 65536;
export const MAX_SERVICES = 65536;
export const MAX_WORKERS = 16;

// ---------------------------------------------------------------------------------------------- control block
// Offsets from CONTROL_BASE, u32 each.
export const CTL_MAGIC = 0;
export const CTL_VERSION = 4;
/** control, atomic: address of the image in force. */
export const CTL_ACTIVE_IMAGE = 8;
/** worker, atomic: address of the image the worker used for its latest batch. */
export const CTL_ACK_IMAGE = 12;
export const CTL_IMAGE_SIZE = 16;
export const CTL_SESSIONS_BASE = 20;
/** log2 of the number of IPv4 session lines. */
export const CTL_SESSIONS_LOG2 = 24;
/** IPv6 sessions: a parallel table of SESSION6_SIZE lines. 0 = there is none, and IPv6 is dropped. */
export const CTL_SESSIONS6_BASE = 28;
export const CTL_SESSIONS6_LOG2 = 32;
export const CTL_FRAMES_BASE = 36;
export const CTL_FRAME_SIZE = 40;
export const CTL_FRAME_COUNT = 44;
/** Random seed for session, port and backend choice. */
export const CTL_SEED = 48;
/** End of the whole memory, bytes. */
export const CTL_MEMORY_END = 52;

// Timeouts in milliseconds (control).
export const CTL_TIMEOUT_TCP_SYN = 64;
export const CTL_TIMEOUT_TCP_ESTABLISHED = 68;
export const CTL_TIMEOUT_TCP_CLOSING = 72;
export const CTL_TIMEOUT_UDP = 76; // one direction seen
export const CTL_TIMEOUT_UDP_STREAM = 80; // both directions seen
export const CTL_TIMEOUT_ICMP = 84;
export const CTL_TIMEOUT_SCTP = 88;
export const CTL_TIMEOUT_OTHER = 92;
export const CTL_TIMEOUT_FRAGMENT = 96;

// Several workers: each has a memory of its own with one plan; images and what lies behind CTL_SHARED_BASE are one for all.
/** How many; 0 or 1 = this one only, and nothing is shared. */
export const CTL_WORKERS = 100;
export const CTL_WORKER = 104; // which of them this one is, from 0
export const CTL_SHARED_BASE = 108;
/** log2 of the slots of each ring. */
export const CTL_RING_LOG2 = 112;

// Trace (control writes the filter first, then CTL_TRACE_LEFT; 0 fields match everything).
export const CTL_TRACE_LEFT = 128; // packets still to trace; 0 = off. worker counts down
export const CTL_TRACE_SRC = 132; // network, 0 = any
export const CTL_TRACE_DST = 136; // network, 0 = any
export const CTL_TRACE_PROTOCOL = 140;
export const CTL_TRACE_PORT = 144; // host order
export const CTL_TRACE_HEAD = 148; // worker: records written so far (ring index = head mod TRACE_CAPACITY)
export const CTL_TRACE_PACKETS = 152; // worker: packets traced so far
/** Families to trace, 0 = both. An address of the filter that is IPv6 stands in CTL_TRACE_SRC6/DST6 (16 bytes each). */
export const CTL_TRACE_FAMILY = 156;
export const CTL_TRACE_SRC6 = 160;
export const CTL_TRACE_DST6 = 176;

// ---------------------------------------------------------------------------------------------- packet vector
// One 64-byte line a packet; the feed fills the first half, the pipeline answers in TX_PORT and moves ADDRESS/LENGTH.
export const VECTOR_CAPACITY = 256;
export const VECTOR_SIZE = 64;
export const VECTOR_SHIFT = 6;
/** Address of the first packet byte in linear memory. At least HEADROOM bytes before it are free. */
export const V_ADDRESS = 0;
/** Bytes in this buffer; V_TOTAL counts the following segments of a multi-buffer packet too. */
export const V_LENGTH = 4;
export const V_TOTAL = 8;
export const V_RX_PORT = 12;
/** Pipeline's answer: port index to transmit on, or PORT_NONE. */
export const V_TX_PORT = 16;
/** The feed's own: frame or chain; the pipeline never touches it. */
export const V_HANDLE = 20;
export const V_FLAGS = 24;
/** Outcome code of this packet, always set. */
export const V_OUTCOME = 28;
// Second half: the pipeline's metadata between stages.
export const V_L3 = 32; // address of the IP header
export const V_L4 = 36; // address of the L4 header
export const V_SRC = 40; // network
export const V_DST = 44; // network
export const V_PORTS = 48; // network: source port in the low half as loaded, destination in the high half
export const V_PROTOCOL = 52;
export const V_HASH = 56;
export const V_SESSION = 60; // address of the session line, 0 = none

export const PORT_NONE = 0xffffffff;
export const HEADROOM = 128;

export const VF_TRACE = 1; // being traced
export const VF_FIRST_FRAGMENT = 2;
export const VF_LATER_FRAGMENT = 4;
export const VF_ICMP_ERROR = 8;
export const VF_FROM_TUNNEL = 16; // decapsulated; V_TUNNEL_OF below
/** Adjacency index of the tunnel it came from, in the upper half of V_FLAGS. */
export const VF_TUNNEL_SHIFT = 16;

// ---------------------------------------------------------------------------------------------- image
// An image starts with a header of u32 words; sections lie behind it, each found by its offset from the image's start.
export const IMG_GENERATION = 0; // rises with every publication; a session judged under another one is judged again
export const IMG_PORTS = 4; // section offset; PORT_SIZE x MAX_PORTS
export const IMG_ADJACENCIES = 8; // ADJ_SIZE each
export const IMG_ADJACENCIES_COUNT = 12;
export const IMG_LPM4 = 16; // hash of LPM4_SIZE slots
export const IMG_LPM4_LOG2 = 20;
export const IMG_LPM6 = 24;
export const IMG_LPM6_LOG2 = 28;
export const IMG_PAIRS = 32; // hash of PAIR_SIZE slots: (policy, identity) -> port set
export const IMG_PAIRS_LOG2 = 36;
export const IMG_POLICIES = 40; // POLICY_SIZE each, index 0 unused
export const IMG_POLICIES_COUNT = 44;
export const IMG_PORTSETS = 48; // PORTSET_SIZE each: lines of port sets
export const IMG_PORTSETS_COUNT = 52;
/** Tries of the IPv4 prefixes, one for each space, and how many lines there are. */
export const IMG_TRIE4 = 56;
export const IMG_TRIE4_LINES = 60;
export const IMG_FRONTENDS4 = 64; // hash of FRONTEND_SIZE slots
export const IMG_FRONTENDS4_LOG2 = 68;
export const IMG_SERVICES = 72; // SERVICE_SIZE each, index 0 unused
export const IMG_SERVICES_COUNT = 76;
export const IMG_BACKENDS = 80; // BACKEND_SIZE each
export const IMG_BACKENDS_COUNT = 84;
export const IMG_SLOTS = 88; // u16 each: index of a backend inside its service
export const IMG_SLOTS_COUNT = 92;
/** SNAT address (network), 0 = no SNAT; source ports are taken from [FIRST, LAST]. */
export const IMG_SNAT4 = 96;
export const IMG_SNAT_FIRST_PORT = 100;
export const IMG_SNAT_LAST_PORT = 104;
export const IMG_HAIRPIN4 = 108; // network
/** Port that packets for the node's own stack go to, or PORT_NONE. */
export const IMG_HOST_PORT = 112;
export const IMG_UPLINK_PORT = 116;
/** The node's first IPv4 address (network), 0 = none. */
export const IMG_NODE4 = 120;
/** IPv6: the SNAT address (0 = no SNAT), the source of hairpin connections, the node's first address; 16 bytes each. */
export const IMG_SNAT6 = 192;
export const IMG_HAIRPIN6 = 208;
export const IMG_NODE6 = 224;
/** Prefix lengths present, IPv6: SPACE6_COUNT entries of 24 bytes (bit n of the 192 = /n). */
export const IMG_LENGTHS6 = 368;
export const IMG_LIMITS = 336; // section offset; LIMIT_SIZE x MAX_PORTS
export const IMG_LIMITED = 340; // how many ports have a limit
/** The generation in which an adjacency changed last: only then the worker's index of tunnels is made anew. */
export const IMG_TUNNELS = 344;
export const IMG_HEADER_SIZE = 512;

// LPM spaces: one hash serves them all.
export const SPACE_MAIN = 0; // routes: value = adjacency index
export const SPACE_POD = 1; // routes
export const SPACE_IDENTITY = 2; // value = identity
export const SPACE_SNAT_EXCLUDE = 3; // value 1: keep the source
export const SPACE_SNAT_SOURCE = 4; // value 1: may be translated
export const SPACE_COUNT = 5;
/**
 * IPv6 only: address of a frontend -> number that stands for it in the table of frontends, whose keys then have FRONTEND_IP6 set.
 */
export const SPACE_FRONTEND = 5;
export const SPACE6_COUNT = 6;
/** IPv4 only, single addresses, so not in the trie: address of a pod here -> its ingress policy, 0 = none. */
export const SPACE_TARGET = 6;

/**
 * Trie of a space: TRIE_ROOT_BITS of the address (host order) choose a word of its root, then four bits each a word of a line of 16.
 * A word is TRIE_CHILD | index of a line, or prefix length + 1 << TRIE_LENGTH_SHIFT | value, or 0 = no prefix. The roots lie first,
 * TRIE_ROOT_LINES each, so that a line's index counts from the start of the section. Only prefixes shorter than 32 are in it:
 * single addresses are found by the hash, which holds all prefixes.
 */
export const TRIE_ROOT_BITS = 12;
export const TRIE_ROOT_LINES = 256;
export const TRIE_LINE_SIZE = 64;
export const TRIE_CHILD = 0x80000000;
export const TRIE_LENGTH_SHIFT = 24;
export const TRIE_VALUE = 0xffffff;

// LPM hash slot, IPv4: linear probing from hash(address, meta); meta 0 = empty.
export const LPM4_SIZE = 16;
export const LPM4_SHIFT = 4;
export const LPM4_ADDRESS = 0; // network, host bits zero
export const LPM4_META = 4; // LPM_USED | space << 8 | prefix length
export const LPM4_VALUE = 8;
// IPv6: linear probing from the hash of all four words: hash(hash(hash(hash(w0, meta), w1), w2), w3).
export const LPM6_SIZE = 32;
export const LPM6_SHIFT = 5;
export const LPM6_ADDRESS = 0; // 16 bytes network
export const LPM6_META = 16;
export const LPM6_VALUE = 20;
export const LPM_USED = 0x80000000;

/**
 * Home slot of two words in a table of 2^log2 slots (LPM4: address, meta; pairs: policy, identity; frontends: address,
 * port | protocol << 16): the upper bits of the products, so that the addresses of a subnet never share a home. Modulo 2^32:
 *   h = (a * HASH_A) ^ ((b + HASH_B) * HASH_C); slot = h >>> (32 - log2)
 * Where more words are hashed one after the other (LPM6), all bits count:
 *   h ^= h >>> 15; h *= HASH_D; h ^= h >>> 13; slot = h & mask
 */
export const HASH_A = 0x9e3779b1;
export const HASH_B = 0x7f4a7c15;
export const HASH_C = 0x85ebca6b;
export const HASH_D = 0xc2b2ae35;

// Port: an interface. Indexes are stable while the interface exists.
export const PORT_SIZE = 128;
export const PORT_SHIFT = 7;
export const PORT_ROLE = 0; // u8 ROLE_*
export const PORT_FLAGS = 1; // u8
export const PORT_VRF = 2; // u8: SPACE_MAIN or SPACE_POD
export const PORT_MTU = 4; // u32: largest IP packet
export const PORT_MAC = 8; // 6 bytes: ours
export const PORT_PEER_MAC = 16; // 6 bytes; all zero = learned
export const PORT_IP4 = 24; // network: the station's address (pod: the only source allowed); uplink: the node's
export const PORT_GATEWAY4 = 28; // network: answered by ARP and echo
export const PORT_INGRESS_POLICY = 32; // 0 = open
export const PORT_EGRESS_POLICY = 36; // 0 = open
export const PORT_IP4_LENGTH = 40; // u8: on-link prefix length of PORT_IP4 on an uplink
export const PORT_IP6_LENGTH = 41; // u8: on-link prefix length of PORT_IP6 on an uplink
export const PORT_IP6 = 48; // 16 bytes: as PORT_IP4; all zero = no IPv6 on this interface
export const PORT_GATEWAY6 = 64; // 16 bytes: answered by neighbor discovery and echo
export const ROLE_NONE = 0;
export const ROLE_POD = 1;
export const ROLE_UPLINK = 2;
export const ROLE_HOST = 3;

// Limits of a port: two pairs of (bytes a second, bytes at once), each of a token bucket; rate 0 = no limit.
export const LIMIT_SIZE = 16;
export const LIMIT_SHIFT = 4;
export const LIMIT_TO_POD = 0;
export const LIMIT_FROM_POD = 8;
export const LIMIT_RATE = 0;
export const LIMIT_BURST = 4;
// A bucket as the worker keeps it, at twice the offset of its limit.
export const BUCKET_SIZE = 16;
export const BUCKET_TOKENS = 0; // f64: bytes; below zero after a packet that was larger than what was left
export const BUCKET_SEEN = 8; // ms
export const BUCKET_RATE = 12; // the rate it was filled by; another one: it starts full

// Adjacency: where a route leads. Index 0 = no route. Indexes are stable while the target exists.
export const ADJ_SIZE = 128;
export const ADJ_SHIFT = 7;
export const ADJ_TYPE = 0; // u8
export const ADJ_HIDES_CLIENTS = 1; // u8, tunnels: 1 = what comes by the uplink goes in with the node's address as its source
export const ADJ_PORT = 4; // u32: port to leave by
export const ADJ_MTU = 8; // u32: largest IP packet
export const ADJ_NEXT_HOP4 = 12; // network; 0 = the packet's own destination. Tunnels: next hop of the outer packet
export const ADJ_NEXT_HOP6 = 16; // 16 bytes; all zero = the packet's own destination
export const ADJ_LOCAL_BVI6 = 16; // 16 bytes, tunnels: our BVI; all zero = no IPv6 inside
/** Tunnels: outer Ethernet (MACs: ours as source, destination filled from the neighbor), IPv4, UDP, VXLAN, inner Ethernet;
 * lengths, identification, checksum and source port are filled for each packet. */
export const ADJ_TEMPLATE = 32; // ENCAP_SIZE + 14 = 64 bytes
export const ADJ_REMOTE4 = 96; // network: outer destination
export const ADJ_LOCAL4 = 100; // network: outer source
export const ADJ_VNI = 104; // host order
export const ADJ_LOCAL_BVI4 = 108; // network: our BVI, answered by ARP and echo inside the tunnel
export const ADJ_REMOTE_BVI4 = 112; // network
export const ADJ_LOCAL_MAC = 116; // 6 bytes: our BVI's
export const ADJ_TYPE_NONE = 0;
export const ADJ_TYPE_PORT = 1;
export const ADJ_TYPE_TUNNEL = 2;
export const ADJ_TYPE_DROP = 3;
export const ADJ_TYPE_REJECT = 4;
export const ENCAP_SIZE = 50;
export const VXLAN_PORT = 4789;

// (policy, identity) -> port set. Linear probing; policy 0 = empty.
export const PAIR_SIZE = 16;
export const PAIR_SHIFT = 4;
export const PAIR_POLICY = 0;
export const PAIR_IDENTITY = 4;
export const PAIR_PORTSET = 8;

// Policy: what holds for an identity without a pair of its own.
export const POLICY_SIZE = 8;
export const POLICY_DEFAULT_PORTSET = 0;

/**
 * Port set: lines of four disjoint intervals over key = protocol << 16 | destination port (port 0 for protocols without ports),
 * sorted over all its lines, which lie one behind the other. What no interval covers gets the default, which every line repeats.
 * A set is known by the index of its first line. Unused intervals hold no key.
 */
export const PORTSET_SIZE = 64;
export const PORTSET_SHIFT = 6;
export const PORTSET_INTERVALS = 4;
export const PORTSET_FROM = 0; // four u32
export const PORTSET_TO = 16; // four u32, included
export const PORTSET_VERDICT = 32; // four u32, and the default as the fifth: VERDICT_ALLOW or 0 | rule id, which the control plane knows
export const PORTSET_LINES = 52; // how many lines, in the first one
export const VERDICT_ALLOW = 0x80000000;
/** An interval without keys: keys have 24 bits. */
export const PORTSET_NO_FROM = 0x7fffffff;
export const ACTION_DENY = 0;
export const ACTION_ALLOW = 1;

// Frontend: (address, port | protocol << 16; port in network order as loaded) -> service. Linear probing; service 0 = empty.
export const FRONTEND_SIZE = 16;
export const FRONTEND_SHIFT = 4;
export const FRONTEND_ADDRESS = 0; // network
export const FRONTEND_KEY = 4; // u16 port as loaded from the packet | protocol << 16
export const FRONTEND_SERVICE = 8;
/** In FRONTEND_KEY: the address is a number of SPACE_FRONTEND. */
export const FRONTEND_IP6 = 0x80000000;

export const SERVICE_SIZE = 64;
export const SERVICE_SHIFT = 6;
export const SERVICE_FLAGS = 0; // SVF_*
export const SERVICE_AFFINITY = 4; // seconds, 0 = none
export const SERVICE_SLOTS = 8; // first slot
export const SERVICE_SLOT_COUNT = 12; // 0 = reject
export const SERVICE_BACKENDS = 16; // first backend
export const SERVICE_BACKEND_COUNT = 20;
/**
 * First of SERVICE_RANGE_COUNT (address, mask) pairs of 8 bytes in the section IMG_RANGES; only with SVF_RANGES. An IPv6 pair takes
 * four rows: 16 bytes of address, 16 of mask; the count is of rows.
 */
export const SERVICE_RANGES = 24;
export const SERVICE_RANGE_COUNT = 28;
/** With SVF_OUTSIDE: the slots of who comes by the uplink, and how many backends he may get: the first ones of the service. */
export const SERVICE_OUTSIDE_SLOTS = 32;
export const SERVICE_OUTSIDE_SLOT_COUNT = 36; // 0 = dropped
export const SERVICE_OUTSIDE_COUNT = 40;
export const SVF_RANGES = 1;
export const SVF_OUTSIDE = 2; // what comes by the uplink has slots of its own
export const IMG_RANGES = 320; // section offset; 8 bytes each: network address, network mask
export const IMG_RANGES_COUNT = 324;

export const BACKEND_SIZE = 32;
export const BACKEND_SHIFT = 5;
export const BACKEND_IP6 = 0; // 16 bytes; IPv4 in the first four
export const BACKEND_IP4 = 0; // network
export const BACKEND_PORT = 16; // u16 network
export const BACKEND_FLAGS = 20;
/** Stable id of (service, address, port): a session remembers it to notice that its backend is gone. */
export const BACKEND_ID = 24;

// ---------------------------------------------------------------------------------------------- sessions
// Two lines a connection, one for each direction, each found by the tuple of packets as they arrive in that direction.
// Bounded linear probing: SESSION_WINDOW lines from the home line.
export const SESSION_SIZE = 64;
export const SESSION_SHIFT = 6;
export const SESSION_WINDOW = 8;
export const S_SRC = 0; // network
export const S_DST = 4; // network
export const S_PORTS = 8; // network, as V_PORTS
export const S_PROTOCOL = 12; // u8
export const S_STATE = 13; // u8 ST_*: 0 = empty line
export const S_FLAGS = 14; // u16 SF_*
export const S_GENERATION = 16; // image generation that judged it
export const S_PEER = 20; // address of the other direction's line
export const S_NEW_SRC = 24;
export const S_NEW_DST = 28;
export const S_NEW_PORTS = 32;
export const S_IP_DELTA = 36; // u16: one's complement difference for the IP header checksum
export const S_L4_DELTA = 38; // u16: same for TCP/UDP/SCTP-less checksums incl. pseudo header
/** Adjacency index; with S_DIRECT set the low bits are a port index instead (replies to a local station). */
export const S_ADJACENCY = 40;
export const S_DIRECT = 0x80000000;
export const S_SEEN = 44; // ms
export const S_RULE = 48; // rule id that allowed it
export const S_SERVICE = 52; // service index, 0 = none
export const S_BACKEND = 56; // BACKEND_ID
export const S_PACKETS = 60;

export const ST_EMPTY = 0;
export const ST_TOMBSTONE = 1;
export const ST_NEW = 2; // one direction seen (TCP: SYN sent)
export const ST_ESTABLISHED = 3; // both directions seen (TCP: handshake done)
export const ST_CLOSING = 4; // FIN or RST seen
export const SF_REPLY = 1; // line of the replying direction
export const SF_DNAT = 2;
export const SF_SNAT = 4;
/** Replies go back through the tunnel the first packet came from (keeps outside clients' addresses across nodes). */
export const SF_RETURN_TUNNEL = 8;
export const SF_FIN_SEEN = 16;
export const SF_FROM_HOST = 32;
/** Between the host's stack and the uplink: the node is an end there, not a router, so TTL stays. */
export const SF_KEEP_TTL = 64;
/** On the reply line: the first packet came in by the uplink. */
export const SF_FROM_UPLINK = 128;
/** TCP met in the middle: which end opened it is not known, so policies must allow both ways. */
export const SF_PICKED_UP = 256;
/** Several workers: the others were asked whether they saw it lately. */
export const SF_ASKED = 512;

// IPv6: a line is 64 bytes of addresses and, behind them, a block of the same shape as an IPv4 line, by which it is known everywhere
// (V_SESSION, S_PEER point to the block). The block's S_SRC is 1 in a line in use; its other address words are unused.
export const SESSION6_SIZE = 128;
export const SESSION6_SHIFT = 7;
/** Of the block in its line. */
export const SESSION6_BLOCK = 64;
export const S6_SRC = 0; // 16 bytes each, network; offsets from the line's start
export const S6_DST = 16;
export const S6_NEW_SRC = 32;
export const S6_NEW_DST = 48;

// Session statistics: u64 words from SESSION_STATS_BASE.
export const SS_ACTIVE = 0;
export const SS_CREATED = 8;
export const SS_EVICTED = 16;
export const SS_EXPIRED = 24;
export const SS_REJUDGED = 32;
export const SS_TABLE_FULL = 40;
export const SS_UNTOLD = 48; // records that found a ring full

// ---------------------------------------------------------------------------------------------- shared by several workers
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

// ---------------------------------------------------------------------------------------------- small tables of the worker
export const NEIGHBOR_CAPACITY = 4096;
export const NEIGHBOR_SIZE = 32;
export const NB_IP4 = 0; // network; 0 = empty
export const NB_PORT = 4;
export const NB_MAC = 8; // 6 bytes
export const NB_STATE = 14; // u8: 0 empty, 1 wanted (request sent), 2 known
export const NB_SEEN = 16; // ms: last time confirmed (known) or asked for (wanted)
export const NB_USED = 20; // ms: last time a packet was sent to it
export const NB_ASKED = 24; // ms: last time it was asked for while known

// IPv6: an entry begins like an IPv4 one, with a hash of the address in NB_IP4.
export const NEIGHBOR6_CAPACITY = 2048;
export const NEIGHBOR6_SIZE = 64;
export const NB6_ADDRESS = 32; // 16 bytes network

export const FRAGMENT_CAPACITY = 4096;
export const FRAGMENT_SIZE = 32;
export const FR_SRC = 0;
export const FR_DST = 4;
export const FR_ID = 8; // identification | protocol << 16 | used << 31; IPv6: bit 30 set too, FR_SRC and FR_DST hold a hash
export const FR_PORTS = 12;
export const FR_SEEN = 16;
export const FR_PROTOCOL = 20; // protocol of the session tuple: differs from the header's for replies to ICMP queries

export const AFFINITY_CAPACITY = 65536;
export const AFFINITY_SIZE = 16;
export const AF_CLIENT = 0; // network
export const AF_SERVICE = 4;
export const AF_BACKEND = 8; // BACKEND_ID
export const AF_SEEN = 12; // ms

// ---------------------------------------------------------------------------------------------- counters
export const PORT_COUNTER_SIZE = 64; // u64 words
export const PC_RX_PACKETS = 0;
export const PC_RX_BYTES = 8;
export const PC_TX_PACKETS = 16;
export const PC_TX_BYTES = 24;
export const PC_DROPS = 32;

// Outcomes: every packet gets exactly one. Names are in control/backends/wasm/outcomes.ts, meanings in docs/outcomes.md.
export const OUTCOME_COUNT = 64;
export const OUT_NONE = 0;
export const OUT_FORWARD_POD = 1;
export const OUT_FORWARD_TUNNEL = 2;
export const OUT_FORWARD_UPLINK = 3;
export const OUT_FORWARD_HOST = 4;
export const OUT_ARP_REPLY = 5;
export const OUT_ARP_LEARNED = 6;
export const OUT_ARP_REQUEST = 7; // the packet became an ARP request for its unknown next hop
export const OUT_ECHO_REPLY = 8;
export const OUT_REJECT_SENT = 9; // became an ICMP port unreachable
export const OUT_FRAG_NEEDED_SENT = 10; // became an ICMP fragmentation needed
export const OUT_TTL_EXCEEDED_SENT = 11; // became an ICMP time exceeded
export const OUT_ND_REPLY = 12; // a neighbor solicitation was answered
export const OUT_ND_LEARNED = 13; // neighbor discovery that told us something; nothing to send
export const OUT_ND_REQUEST = 14; // the packet became a solicitation for its unknown next hop
/** Never an outcome: between the stages, an IPv6 packet that its own stages will look at once those of IPv4 are through. */
export const OUT_IP6 = 15;
export const OUT_FIRST_DROP = 16;
export const DROP_SHORT = 16; // shorter than its headers say
export const DROP_ETHERTYPE = 17; // neither IPv4 nor ARP (nor IPv6 where enabled)
export const DROP_NOT_FOR_US = 18; // foreign destination MAC
export const DROP_IP_VERSION = 19;
export const DROP_IP_HEADER = 20; // bad header length or total length
export const DROP_IP_CHECKSUM = 21;
export const DROP_TTL = 22;
export const DROP_MARTIAN = 23; // loopback, multicast or broadcast source, ...
export const DROP_SPOOFED = 24; // a pod used a source that is not its own
export const DROP_MULTICAST = 25;
export const DROP_L4_HEADER = 26; // TCP/UDP/ICMP header short or impossible
export const DROP_FRAGMENT_TINY = 27; // first fragment without a whole L4 header, or overlapping it
export const DROP_FRAGMENT_UNKNOWN = 28; // later fragment whose first one was not seen or not allowed
export const DROP_NO_ROUTE = 29;
export const DROP_ROUTE_DROP = 30;
export const DROP_POLICY_EGRESS = 31;
export const DROP_POLICY_INGRESS = 32;
export const DROP_SERVICE_SOURCE = 33; // outside loadBalancerSourceRanges
export const DROP_NO_NEIGHBOR = 34; // next hop unknown and a request was just sent
export const DROP_VXLAN = 35; // malformed, unknown VNI or unknown peer
export const DROP_ARP = 36; // malformed or not for us
export const DROP_SESSION_FULL = 37;
export const DROP_SNAT_EXHAUSTED = 38;
export const DROP_ICMP_ERROR = 39; // refers to no connection
export const DROP_PORT = 40; // arrived on a port that is not configured
export const DROP_HOP_LOOP = 41; // would leave by the tunnel or uplink it came from
export const DROP_MTU = 42; // too long and no ICMP may be sent for it
export const DROP_OPTIONS = 43; // IP source routing
export const DROP_IPV6 = 44; // IPv6 where none is configured
export const DROP_RATE_LIMIT = 45; // ICMP error not sent: limit reached
export const DROP_SERVICE_ELSEWHERE = 46; // from outside, and all endpoints are on other nodes (SVF_OUTSIDE)
export const DROP_ND = 47; // neighbor discovery that is malformed, not for us, or of a kind that nobody here may send
export const DROP_BANDWIDTH = 48; // beyond what the pod may send or receive
export const DROP_WORKERS = 49; // opens a connection, and another worker is too far behind to be told

// ---------------------------------------------------------------------------------------------- trace
// 64-byte records: packet number, time, stage, then five words that depend on the stage. IPv6: the stage has STAGE_IP6 set, and
// words that are addresses are 0: the source stands in TR_SRC6, the destination (or the one address there is) in TR_DST6.
export const TRACE_CAPACITY = 2048;
export const TRACE_SIZE = 64;
export const TR_PACKET = 0;
export const TR_TIME = 4;
export const TR_STAGE = 8; // u16
export const TR_PORT = 10; // u16
export const TR_A = 12;
export const TR_B = 16;
export const TR_C = 20;
export const TR_D = 24;
export const TR_E = 28;
export const TR_SRC6 = 32;
export const TR_DST6 = 48;
export const STAGE_IP6 = 0x100;
export const STAGE_RECEIVE = 1; // a src, b dst, c ports, d protocol, e length
export const STAGE_DECAP = 2; // a outer src, b vni, c adjacency
export const STAGE_SESSION_HIT = 3; // a line address, b rule, c generation
export const STAGE_SERVICE = 4; // a service index, b backend ip, c backend port (network), d backend id
export const STAGE_EGRESS = 5; // a policy, b identity of the peer, c action, d rule
export const STAGE_ROUTE = 6; // a destination, b adjacency, c space
export const STAGE_INGRESS = 7; // as STAGE_EGRESS
export const STAGE_SNAT = 8; // a new source, b new port (network)
export const STAGE_SESSION_NEW = 9; // a line address, b rule
export const STAGE_REWRITE = 10; // a src, b dst, c ports
export const STAGE_ENCAP = 11; // a outer dst, b vni, c outer source port
export const STAGE_OUTCOME = 12; // a outcome code, b tx port

// Well-known rule ids: real rules start at RULE_FIRST.
export const RULE_NONE = 0;
export const RULE_OPEN = 1; // no policy selects the pod in this direction
export const RULE_SELF = 2; // a pod to itself
export const RULE_NODE = 3; // the node to its own pod
export const RULE_NOT_A_POD = 4; // neither end is a pod of this node
export const RULE_FIRST = 16;
