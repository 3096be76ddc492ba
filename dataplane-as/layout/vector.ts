/** The packet vector. */

// One 64-byte line a packet; the feed fills the first half, the pipeline answers in TX_PORT and moves ADDRESS/LENGTH.
export const VECTOR_CAPACITY = 256;
/**
 * Packets that the feeds receive for a pass at most. With twice as many, or four times, what a pass costs is shared by more of them, but the
 * lines they need no longer stay in the first cache from stage to stage: no faster with any number of connections (bench/README.md).
 */
export const BATCH = 64;
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
/**
 * Bytes between the end of a frame and the next one. Frames a power of two apart begin in the same two sets of the first cache, and a
 * processor takes a load for one of what was just stored where the low 12 bits of their addresses are equal: a fifth of all time.
 */
export const FRAME_GAP = 64;

export const VF_TRACE = 1; // being traced
export const VF_FIRST_FRAGMENT = 2;
export const VF_LATER_FRAGMENT = 4;
export const VF_ICMP_ERROR = 8;
export const VF_FROM_TUNNEL = 16; // decapsulated; V_TUNNEL_OF below
/** Adjacency index of the tunnel it came from, in the upper half of V_FLAGS. */
export const VF_TUNNEL_SHIFT = 16;
