/** Small tables of the worker. */

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
