/** An image: the tables a batch is judged and forwarded by. */

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
