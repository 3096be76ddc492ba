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

/* Lanes as in dataplane-as/parse.ts. */
#define VECTOR32(a, b, c, d) _mm_setr_epi32((int)(a), (int)(b), (int)(c), (int)(d))

/*
 * PROVES_NOTHING makes a pipeline without validation, to tell what that costs. Plain IPv4 packets of vector lines v to end, for `mac`; writes
 * their metadata. One branch for all proofs. Returns the bytes of all.
 */
static __attribute__((noinline)) u64 prove(adr v, adr end, u64 mac, u32 station, u32 only, u64 flags) {
  const __m128i order = _mm_setr_epi8(0, 1, 2, -1, 5, 4, -1, -1, 10, 8, 9, -1, -1, -1, -1, -1);
  const __m128i known = VECTOR32(0xffffff, 0xffff, 0xff3fff, 0), length_alone = VECTOR32(0, ~0u, 0, 0);
  const __m128i least = VECTOR32(0x450008, -14, 1, 0), most = VECTOR32(0x450008, -14, 255, 0);
  __m128i totals = _mm_setzero_si128();
  for (; v < end; v += VECTOR_SIZE) {
    adr eth = r32(v + V_ADDRESS), l3 = eth + 14, l4 = eth + 34;
    u32 length = r32(v + V_LENGTH);
    __m128i lengths = _mm_loadu_si128((const __m128i *)(M + v));
    totals = _mm_add_epi32(totals, lengths);
    w32(v + V_TX_PORT, PORT_NONE);
    w64(v + V_FLAGS, flags);
    u64 middle = r64(l3 + 4), addresses = r64(l3 + 12);
    u32 second = (u32)(middle >> 32);
#ifndef PROVES_NOTHING
    __m128i fields = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(M + eth + 12)), order);
    fields = _mm_sub_epi32(_mm_and_si128(fields, known), _mm_and_si128(lengths, length_alone));
    u32 outside = (u32)_mm_movemask_ps(
        _mm_castsi128_ps(_mm_or_si128(_mm_sub_epi32(fields, least), _mm_sub_epi32(most, fields))));
    u64 sum = (u64)r32(l3) + (middle & 0xffffffff) + (middle >> 32) + (addresses & 0xffffffff) + (addresses >> 32);
    u32 payload = length - 34, behind = r32(v + V_TOTAL) - length;
    u64 wrong = (r64(eth) ^ mac) << 16 | (sum * CHECKSUM_QUOTIENT) >> 48 |
                ((((u32)addresses ^ station) & only) | outside | r8(MARTIANS_BASE + (addresses & 0xff)) |
                 r8(MARTIANS_BASE + (addresses >> 32 & 0xff)));
    if ((second & 0xff00) == TCP << 8) {
      u32 word = r16(l4 + 12), offset = (word >> 2) & 0x3c;
      wrong |= (((offset - 20) | (payload - offset) | behind) & 1u << 31) | ((NO_TCP_KINDS >> ((word >> 8) & 31)) & 1);
    } else {
      u32 declared = __builtin_bswap16(r16(l4 + 4));
      wrong |= (((declared - 8) | (payload - declared) | behind) & 1u << 31) | ((second & 0xff00) ^ UDP << 8);
    }
    if (wrong) unusual("prove");
#endif
    w32(v + V_L3, (u32)l3);
    w32(v + V_L4, (u32)l4);
    w64(v + V_SRC, addresses);
    w64(v + V_PORTS, r32(l4) | (u64)((second >> 8) & 0xff) << 32);
  }
  return (u32)_mm_extract_epi32(totals, 2);
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

/* Outer headers: Ethernet, IPv4, UDP, VXLAN. Of V_PORTS: UDP to port 4789. */
#define OUTER_PLAIN 50
#define TUNNEL_KEY (((u64)UDP << 16) | 0xb512)

/* Takes the outer headers from a run of packets of one tunnel; returns its end. */
static adr strip(adr v, adr end, u32 index, u32 own, u64 mac) {
  adr adjacency = adjacencies + ((adr)index << ADJ_SHIFT);
  u64 vni = __builtin_bswap32(r32(adjacency + ADJ_VNI)) >> 8, addresses = r32(v + V_SRC) | (u64)own << 32;
  for (; v < end; v += VECTOR_SIZE) {
    adr eth = r32(v + V_ADDRESS);
    u32 length = r32(v + V_LENGTH);
    u64 vxlan = r64(eth + OUTER_PLAIN - 8);
    u64 other = r32(v + V_OUTCOME) | (r64(v + V_SRC) ^ addresses) | ((r64(eth + 6) & MAC_MASK) ^ mac) |
                (r64(v + V_PORTS) >> 16 ^ TUNNEL_KEY) | (~vxlan & 8) | ((vxlan >> 32 & 0xffffff) ^ vni);
    if (other || length < OUTER_PLAIN + 14) break;
    w32(v + V_ADDRESS, (u32)eth + OUTER_PLAIN);
    w32(v + V_LENGTH, length - OUTER_PLAIN);
    w32(v + V_TOTAL, r32(v + V_TOTAL) - OUTER_PLAIN);
  }
  return v;
}

static void take_from_uplink(adr v, adr end, adr port) {
  u32 own = r32(port + PORT_IP4), known = own;
  u64 known_mac = 0;
  while (v < end) {
    u32 src = r32(v + V_SRC);
    u64 mac = r64(r32(v + V_ADDRESS) + 6) & MAC_MASK;
    if (src == own) unusual("own address");
    if (src != known || mac != known_mac) {
      known = src;
      known_mac = mac;
      if (on_link(port, src)) confirm(src, r32(v + V_RX_PORT), mac);
    }
    if (r64(v + V_PORTS) >> 16 != TUNNEL_KEY || r32(v + V_DST) != own) unusual("no tunnel");
    u32 index = tunnel_of(src);
    adr stripped = index ? strip(v, end, index, own, mac) : v;
    if (stripped == v) unusual("decapsulate");
    u64 inside = r64(adjacencies + ((adr)index << ADJ_SHIFT) + ADJ_LOCAL_MAC);
    prove(v, stripped, inside, 0, 0, VF_FROM_TUNNEL | index << VF_TUNNEL_SHIFT);
    v = stripped;
  }
}

/* Where packets of another port begin. */
static adr end_of_run(adr v, adr end, u32 rx) {
  for (; v < end; v += 4 * VECTOR_SIZE) {
    u32 others = (r32(v + V_RX_PORT) ^ rx) | (r32(v + VECTOR_SIZE + V_RX_PORT) ^ rx);
    if (others | (r32(v + 2 * VECTOR_SIZE + V_RX_PORT) ^ rx) | (r32(v + 3 * VECTOR_SIZE + V_RX_PORT) ^ rx)) break;
  }
  while (v < end && r32(v + V_RX_PORT) == rx) v += VECTOR_SIZE;
  return v < end ? v : end;
}

void parse(u32 n) {
  for (adr v = VECTOR_BASE, end = v + (adr)n * VECTOR_SIZE; v < end;) {
    /* Packets of one port come in runs. */
    u32 rx = r32(v + V_RX_PORT);
    adr next = end_of_run(v + VECTOR_SIZE, end, rx);
    if (rx >= MAX_PORTS) unusual("parse");
    adr port = ports + ((adr)rx << PORT_SHIFT);
    u32 role = r8(port + PORT_ROLE);
    if (role == ROLE_NONE) unusual("parse");
    u64 bytes = prove(v, next, r64(port + PORT_MAC), r32(port + PORT_IP4), role == ROLE_POD ? ~0u : 0, 0);
    count_received(rx, (next - v) / VECTOR_SIZE, bytes);
    if (role == ROLE_UPLINK) take_from_uplink(v, next, port);
    v = next;
  }
}
