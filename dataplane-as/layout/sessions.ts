/** Lines of the session tables. */

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
/** On the reply line, of TCP: an answer was seen. Set where there are several workers; else S_PACKETS says so. */
export const SF_ANSWERED = 512;

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
export const SS_ACTIVE = 0; // of several workers: the sum of all, since one may end what another opened
export const SS_CREATED = 8;
export const SS_EVICTED = 16;
export const SS_EXPIRED = 24;
export const SS_REJUDGED = 32;
export const SS_TABLE_FULL = 40;
