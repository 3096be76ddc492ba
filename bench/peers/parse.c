/* Stage 1: Ethernet, IPv4, TCP and UDP with the same proofs as dataplane-as/parse.ts, and VXLAN decapsulation. */
#include "memory.h"

/* See dataplane-as/parse.ts. */
#define NO_TCP_KINDS 0xc8c8c9c9u
#define CHECKSUM_QUOTIENT 0xfffefffefffeffffull

static inline void count_received(u32 port, u64 packets, u64 bytes) {
  if (port >= MAX_PORTS) return;
  u32 at = PORT_COUNTERS_BASE + port * PORT_COUNTER_SIZE;
  add64(at + PC_RX_PACKETS, packets);
  add64(at + PC_RX_BYTES, bytes);
}

/* PROVES_NOTHING makes a pipeline without validation, to tell what that costs. A plain IPv4 header at l3, `rest` bytes to the frame's end, for `mac`; writes the metadata. One branch for all proofs. */
INLINE bool plain(adr v, adr l3, u32 length, u32 total, u64 mac, u32 station, u32 only) {
  adr eth = l3 - 14, l4 = l3 + 20;
  u32 word0 = r32(l3), word1 = r32(l3 + 4), word2 = r32(l3 + 8), src = r32(l3 + 12), dst = r32(l3 + 16);
#ifndef PROVES_NOTHING
  u64 sum = (u64)word0 + word1 + word2 + src + dst;
  u32 payload = length - 34;
  u32 wrong = ((r32(eth + 12) & 0xffffff) ^ 0x450008) | ((u32)__builtin_bswap16(word0 >> 16) ^ (length - 14)) |
              (word1 & 0xff3f0000) | ((src ^ station) & only) | ((total - length) | ((word2 & 0xff) - 1)) >> 31 |
              r8(MARTIANS_BASE + (src & 0xff)) | r8(MARTIANS_BASE + (dst & 0xff));
  if ((word2 & 0xff00) == TCP << 8) {
    u32 word = r16(l4 + 12), offset = (word >> 2) & 0x3c;
    wrong |= ((offset - 20) | (payload - offset)) >> 31 | ((NO_TCP_KINDS >> ((word >> 8) & 31)) & 1);
  } else {
    u32 declared = __builtin_bswap16(r16(l4 + 4));
    wrong |= ((declared - 8) | (payload - declared)) >> 31 | ((word2 & 0xff00) ^ UDP << 8);
  }
  if (((r64(eth) ^ mac) << 16) | (sum * CHECKSUM_QUOTIENT) >> 48 | wrong) return false;
#endif
  w64(v + V_L3, l3 | l4 << 32);
  w64(v + V_SRC, src | (u64)dst << 32);
  w64(v + V_PORTS, r32(l4) | (u64)((word2 >> 8) & 0xff) << 32);
  return true;
}

static u32 tunnel_of(u32 remote) {
  u32 h = remote * (u32)HASH_A, slot = (h ^ (h >> 15)) & (TUNNEL_SLOTS - 1);
  for (u32 index; (index = r32(TUNNELS_BASE + (slot << 3) + 4)); slot = (slot + 1) & (TUNNEL_SLOTS - 1))
    if (r32(TUNNELS_BASE + (slot << 3)) == remote) return index;
  return 0;
}

static bool on_link(adr port, u32 address) {
  u32 length = r8(port + PORT_IP4_LENGTH);
  if (!address) return false;
  if (!length || length >= 32) return true;
  return !((address ^ r32(port + PORT_IP4)) & __builtin_bswap32(0xffffffffu << (32 - length)));
}

static u32 decapsulate(adr v, u32 remote) {
  adr l4 = r32(v + V_L4);
  u32 outer = (u32)l4 - r32(v + V_ADDRESS) + 16, length = r32(v + V_LENGTH);
  if (length < outer + 34 || !(r8(l4 + 8) & 8)) return DROP_VXLAN;
  u32 index = tunnel_of(remote);
  if (!index) return DROP_VXLAN;
  adr adjacency = adjacencies + ((adr)index << ADJ_SHIFT);
  if (__builtin_bswap32(r32(l4 + 12)) >> 8 != r32(adjacency + ADJ_VNI)) return DROP_VXLAN;
  adr eth = l4 + 16;
  w32(v + V_ADDRESS, (u32)eth);
  w32(v + V_LENGTH, length - outer);
  w32(v + V_TOTAL, r32(v + V_TOTAL) - outer);
  w32(v + V_FLAGS, VF_FROM_TUNNEL | index << VF_TUNNEL_SHIFT);
  if (!plain(v, eth + 14, length - outer, r32(v + V_TOTAL), r64(adjacency + ADJ_LOCAL_MAC), 0, 0)) unusual("decapsulate");
  return 0;
}

static u32 from_uplink(adr v, adr port, adr eth) {
  u32 src = r32(v + V_SRC), own = r32(port + PORT_IP4);
  if (src == own) return DROP_MARTIAN;
  if (on_link(port, src)) confirm(src, r32(v + V_RX_PORT), r64(eth + 6) & MAC_MASK);
  if (r32(v + V_PROTOCOL) != UDP || r32(v + V_DST) != own) return 0;
  return r32(v + V_PORTS) >> 16 == 0xb512 ? decapsulate(v, src) : 0;
}

void parse(u32 n) {
  u32 current = PORT_NONE, role = ROLE_NONE, station = 0, only = 0;
  adr port = 0;
  u64 packets = 0, bytes = 0, mac = 0;
  for (adr v = VECTOR_BASE, end = v + (adr)n * VECTOR_SIZE; v < end; v += VECTOR_SIZE) {
    w32(v + V_TX_PORT, PORT_NONE);
    w64(v + V_FLAGS, 0);
    u32 rx = r32(v + V_RX_PORT);
    if (rx != current) {
      count_received(current, packets, bytes);
      current = rx;
      packets = bytes = 0;
      if (rx >= MAX_PORTS) unusual("parse");
      port = ports + ((adr)rx << PORT_SHIFT);
      role = r8(port + PORT_ROLE);
      mac = r64(port + PORT_MAC);
      station = r32(port + PORT_IP4);
      only = role == ROLE_POD ? ~0u : 0;
    }
    adr eth = r32(v + V_ADDRESS);
    u32 total = r32(v + V_TOTAL), length = r32(v + V_LENGTH);
    packets++;
    bytes += total;
    if (role == ROLE_NONE || !plain(v, eth + 14, length, total, mac, station, only)) unusual("parse");
    if (role == ROLE_UPLINK) {
      u32 outcome = from_uplink(v, port, eth);
      if (outcome) w32(v + V_OUTCOME, outcome);
    }
  }
  count_received(current, packets, bytes);
}
