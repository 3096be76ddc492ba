/** The control block. */

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

// Several workers: each has a memory of its own with one plan; images, sessions and what lies at CTL_SHARED_BASE are one for all.
/** How many; 0 or 1 = this one only, and nothing is shared. */
export const CTL_WORKERS = 100;
export const CTL_WORKER = 104; // which of them this one is, from 0
export const CTL_SHARED_BASE = 108;

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
