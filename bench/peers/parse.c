/* Stage 1: Ethernet, IPv4, TCP and UDP with the same proofs as dataplane-as/parse.ts, and VXLAN decapsulation. */
#include "memory.h"

#define TCP_KINDS 0x3736u

static inline void count_received(u32 port, u64 packets, u64 bytes) {
  if (port >= MAX_PORTS) return;
  u32 at = PORT_COUNTERS_BASE + port * PORT_COUNTER_SIZE;
  add64(at + PC_RX_PACKETS, packets);
  add64(at + PC_RX_BYTES, bytes);
}

INLINE bool good_l4(u32 l4, u32 protocol, u32 length) {
  if (protocol == TCP) {
    if (length < 20) return false;
    u32 word = r16(l4 + 12), offset = ((word >> 4) & 15) << 2, flags = word >> 8;
    u32 kind = (flags & 7) | ((flags >> 1) & 8);
    return offset >= 20 && offset <= length && ((TCP_KINDS >> kind) & 1);
  }
  return protocol == UDP && (u32)__builtin_bswap16(r16(l4 + 4)) - 8 <= length - 8;
}

/* A plain IPv4 header at l3, `rest` bytes to the frame's end; writes the metadata. */
INLINE bool plain(u32 v, u32 l3, u32 rest, bool pod, u32 station) {
  u32 word0 = r32(l3), word1 = r32(l3 + 4), word2 = r32(l3 + 8), src = r32(l3 + 12), dst = r32(l3 + 16);
  u32 folded = fold32((u64)word0 + word1 + word2 + src + dst);
  u32 payload = (u32)__builtin_bswap16(word0 >> 16) - 20, from = src & 0xff, to = dst & 0xff;
  u32 protocol = (word2 >> 8) & 0xff, l4 = l3 + 20;
  if ((folded != 0xffff && folded != 0x1fffe) || payload + 20 != rest || from - 1 >= 223 || from == 127 ||
      to - 1 >= 223 || to == 127 || !(word2 & 0xff) || (word1 & 0xff3f0000) || (pod && src != station) ||
      !good_l4(l4, protocol, payload))
    return false;
  w64(v + V_L3, l3 | (u64)l4 << 32);
  w64(v + V_SRC, src | (u64)dst << 32);
  w64(v + V_PORTS, r32(l4) | (u64)protocol << 32);
  return true;
}

static u32 tunnel_of(u32 remote) {
  u32 h = remote * (u32)HASH_A, slot = (h ^ (h >> 15)) & (TUNNEL_SLOTS - 1);
  for (u32 index; (index = r32(TUNNELS_BASE + (slot << 3) + 4)); slot = (slot + 1) & (TUNNEL_SLOTS - 1))
    if (r32(TUNNELS_BASE + (slot << 3)) == remote) return index;
  return 0;
}

static bool on_link(u32 port, u32 address) {
  u32 length = r8(port + PORT_IP4_LENGTH);
  if (!address) return false;
  if (!length || length >= 32) return true;
  return !((address ^ r32(port + PORT_IP4)) & __builtin_bswap32(0xffffffffu << (32 - length)));
}

static u32 decapsulate(u32 v, u32 remote) {
  u32 l4 = r32(v + V_L4), outer = l4 - r32(v + V_ADDRESS) + 16, length = r32(v + V_LENGTH);
  if (length < outer + 34 || !(r8(l4 + 8) & 8)) return DROP_VXLAN;
  u32 index = tunnel_of(remote);
  if (!index) return DROP_VXLAN;
  u32 adjacency = adjacencies + (index << ADJ_SHIFT);
  if (__builtin_bswap32(r32(l4 + 12)) >> 8 != r32(adjacency + ADJ_VNI)) return DROP_VXLAN;
  u32 eth = l4 + 16;
  w32(v + V_ADDRESS, eth);
  w32(v + V_LENGTH, length - outer);
  w32(v + V_TOTAL, r32(v + V_TOTAL) - outer);
  w32(v + V_FLAGS, VF_FROM_TUNNEL | index << VF_TUNNEL_SHIFT);
  if (((r64(eth) ^ r64(adjacency + ADJ_LOCAL_MAC)) & MAC_MASK) || (r32(eth + 12) & 0xffffff) != 0x450008 ||
      !plain(v, eth + 14, length - outer - 14, false, 0))
    unusual("decapsulate");
  return 0;
}

static u32 from_uplink(u32 v, u32 port, u32 eth) {
  u32 src = r32(v + V_SRC), own = r32(port + PORT_IP4);
  if (src == own) return DROP_MARTIAN;
  if (on_link(port, src)) confirm(src, r32(v + V_RX_PORT), r64(eth + 6) & MAC_MASK);
  if (r32(v + V_PROTOCOL) != UDP || r32(v + V_DST) != own) return 0;
  return r32(v + V_PORTS) >> 16 == 0xb512 ? decapsulate(v, src) : 0;
}

void parse(u32 n) {
  u32 current = PORT_NONE, port = 0, role = ROLE_NONE, station = 0;
  u64 packets = 0, bytes = 0, mac = 0;
  for (u32 i = 0, v = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    w32(v + V_TX_PORT, PORT_NONE);
    w64(v + V_FLAGS, 0);
    u32 rx = r32(v + V_RX_PORT);
    if (rx != current) {
      count_received(current, packets, bytes);
      current = rx;
      packets = bytes = 0;
      if (rx >= MAX_PORTS) unusual("parse");
      port = ports + (rx << PORT_SHIFT);
      role = r8(port + PORT_ROLE);
      mac = r64(port + PORT_MAC) << 16;
      station = r32(port + PORT_IP4);
    }
    u32 total = r32(v + V_TOTAL), eth = r32(v + V_ADDRESS), length = r32(v + V_LENGTH);
    packets++;
    bytes += total;
    if (role == ROLE_NONE || length < 42 || total < length || r64(eth) << 16 != mac ||
        (r32(eth + 12) & 0xffffff) != 0x450008 || !plain(v, eth + 14, length - 14, role == ROLE_POD, station))
      unusual("parse");
    if (role == ROLE_UPLINK) {
      u32 outcome = from_uplink(v, port, eth);
      if (outcome) w32(v + V_OUTCOME, outcome);
    }
  }
  count_received(current, packets, bytes);
}
