/* Stage 5: limits, TTL, rewrite, connection state (dataplane-as/forward.ts). */
#include "memory.h"

static u32 limit_of(u32 way) {
  u32 limit = way & (u32)S_DIRECT ? r32(ports + ((adr)(way & ~(u32)S_DIRECT) << PORT_SHIFT) + PORT_MTU)
                             : r32(adjacencies + ((adr)way << ADJ_SHIFT) + ADJ_MTU);
  return limit ? limit : 0xffffffffu;
}

static void set_state(adr line, u8 state) {
  w8(line + S_STATE, state);
  w8(r32(line + S_PEER) + S_STATE, state);
}

static void follow(adr line, adr l4, u32 protocol) {
  u32 state = r8(line + S_STATE), bits = r16(line + S_FLAGS);
  if (protocol != TCP) {
    if (state == ST_NEW && (bits & SF_REPLY)) set_state(line, ST_ESTABLISHED);
    return;
  }
  u32 tcp = r8(l4 + 13);
  if (state == ST_ESTABLISHED && !(tcp & (FIN | RST))) return;
  if (tcp & (FIN | RST)) {
    w16(line + S_FLAGS, bits | SF_FIN_SEEN);
    set_state(line, ST_CLOSING);
  } else if (state == ST_NEW && (tcp & (SYN | ACK)) == ACK && !(bits & SF_REPLY)) {
    if (r32(r32(line + S_PEER) + S_PACKETS)) set_state(line, ST_ESTABLISHED);
  }
}

void forward(u32 n) {
  u32 way = 0, mtu = limit_of(0);
  for (adr v = VECTOR_BASE, end = v + (adr)n * VECTOR_SIZE; v < end; v += VECTOR_SIZE) {
    if (r32(v + V_OUTCOME)) continue;
    adr line = r32(v + V_SESSION), l3 = r32(v + V_L3), l4 = r32(v + V_L4);
    u32 protocol = r32(v + V_PROTOCOL), next = r32(line + S_ADJACENCY);
    if (next != way) {
      way = next;
      mtu = limit_of(next);
    }
    if (__builtin_bswap16(r16(l3 + 2)) > mtu) unusual("mtu");
    u32 word = r32(l3 + 8), state = r8(line + S_STATE), bits = r16(line + S_FLAGS);
    u32 hop = bits & SF_KEEP_TTL ? 0 : 1;
    if ((word & 0xff) <= hop) unusual("ttl");
    u32 delta = 0xffff - hop;
    if (bits & (SF_DNAT | SF_SNAT)) {
      u32 deltas = r32(line + S_IP_DELTA);
      w32(l4, r32(line + S_NEW_PORTS));
      if (protocol == TCP) {
        w16(l4 + 16, adjust(r16(l4 + 16), deltas >> 16));
      } else {
        u16 sum = r16(l4 + 6);
        if (sum) {
          sum = adjust(sum, deltas >> 16);
          w16(l4 + 6, sum ? sum : 0xffff);
        }
      }
      w64(l3 + 12, r64(line + S_NEW_SRC));
      delta += deltas & 0xffff;
      delta = (delta & 0xffff) + (delta >> 16);
    }
    w32(l3 + 8, ((word & 0xffff) - hop) | (u32)adjust(word >> 16, delta) << 16);
    w32(line + S_SEEN, now);
    w32(line + S_PACKETS, r32(line + S_PACKETS) + 1);
    if (state != ST_ESTABLISHED || (protocol == TCP && (r8(l4 + 13) & (FIN | RST)))) follow(line, l4, protocol);
    u32 service = r32(line + S_SERVICE);
    if (service && service < MAX_SERVICES) add64(SERVICE_COUNTERS_BASE + (service << 4) + 8, 1);
  }
}
