/* Stages 6 and 7: Ethernet or tunnel headers in front, counters (dataplane-as/output.ts, encap.ts, counters.ts). */
#include "memory.h"

enum { EACH, TUNNEL, PORT };

static u32 way_port, way_word, way_rest;
static u64 way_macs;
static u8 headers[64] __attribute__((aligned(64)));

static u32 forwarded(u32 role) {
  return role == ROLE_POD ? OUT_FORWARD_POD : role == ROLE_HOST ? OUT_FORWARD_HOST : OUT_FORWARD_UPLINK;
}

static u32 prepare_tunnel(adr adjacency, u64 mac) {
  memcpy(headers, M + adjacency + ADJ_TEMPLATE, 64);
  memcpy(headers, &mac, 6);
  headers[20] = 0x40;
  headers[21] = 0;
  u64 sum = 0x40;
  for (u32 k = 0; k < 20; k += 4) sum += r32(adjacency + ADJ_TEMPLATE + 14 + k);
  return fold(sum);
}

static u32 prepare(u32 way) {
  u32 next_hop = 0, type = ADJ_TYPE_PORT;
  adr adjacency = 0;
  way_port = way & ~(u32)S_DIRECT;
  if (!(way & (u32)S_DIRECT)) {
    if (way >= adjacency_count) return EACH;
    adjacency = adjacencies + ((adr)way << ADJ_SHIFT);
    type = r8(adjacency + ADJ_TYPE);
    way_port = r32(adjacency + ADJ_PORT);
    next_hop = r32(adjacency + ADJ_NEXT_HOP4);
  }
  if (way_port >= MAX_PORTS) return EACH;
  adr port = ports + ((adr)way_port << PORT_SHIFT);
  u32 role = r8(port + PORT_ROLE);
  if (role == ROLE_NONE) return EACH;
  if (type == ADJ_TYPE_TUNNEL && !next_hop) next_hop = r32(adjacency + ADJ_REMOTE4);
  u64 mac = r64(port + PORT_PEER_MAC) & MAC_MASK;
  if (!mac && next_hop) mac = neighbor_mac(next_hop, way_port);
  if (!mac) return EACH;
  if (type == ADJ_TYPE_TUNNEL) {
    way_word = prepare_tunnel(adjacency, mac);
    return TUNNEL;
  }
  if (type != ADJ_TYPE_PORT) return EACH;
  u64 source = r64(port + PORT_MAC);
  way_macs = mac | source << 48;
  way_rest = (u32)(source >> 16);
  way_word = forwarded(role);
  return PORT;
}

void output(u32 n) {
  u32 way = 0, kind = EACH;
  for (adr v = VECTOR_BASE, end = v + (adr)n * VECTOR_SIZE; v < end; v += VECTOR_SIZE) {
    if (r32(v + V_OUTCOME)) continue;
    u32 next = r32(r32(v + V_SESSION) + S_ADJACENCY);
    if (next != way) {
      way = next;
      kind = prepare(next);
    }
    if (kind == TUNNEL) {
      u32 total = r32(v + V_TOTAL);
      adr eth = (adr)r32(v + V_ADDRESS) - ENCAP_SIZE;
      memcpy(M + eth, headers, 64);
      u32 length = __builtin_bswap16((u16)(total + 36)), sum = way_word + length;
      w16(eth + 16, length);
      w16(eth + 24, ~((sum & 0xffff) + (sum >> 16)));
      w16(eth + 34, __builtin_bswap16(0xc000 | r32(v + V_HASH) >> 18));
      w16(eth + 38, __builtin_bswap16((u16)(total + 16)));
      w32(v + V_ADDRESS, (u32)eth);
      w32(v + V_LENGTH, r32(v + V_LENGTH) + ENCAP_SIZE);
      w32(v + V_TOTAL, total + ENCAP_SIZE);
      w32(v + V_TX_PORT, way_port);
      w32(v + V_OUTCOME, OUT_FORWARD_TUNNEL);
    } else if (kind == PORT) {
      adr eth = r32(v + V_ADDRESS);
      w64(eth, way_macs);
      w32(eth + 8, way_rest);
      w32(v + V_TX_PORT, way_port);
      w32(v + V_OUTCOME, way_word);
    } else {
      unusual("output");
    }
  }
}

static void count_outcome(u32 outcome, u64 packets) { add64(OUTCOMES_BASE + (outcome << 3), packets); }

static void count_sent(u32 port, u64 packets, u64 bytes) {
  if (port >= MAX_PORTS) return;
  u32 at = PORT_COUNTERS_BASE + port * PORT_COUNTER_SIZE;
  add64(at + PC_TX_PACKETS, packets);
  add64(at + PC_TX_BYTES, bytes);
}

void tally(u32 n) {
  u32 last_outcome = OUT_NONE, last_port = PORT_NONE;
  u64 outcomes = 0, packets = 0, bytes = 0;
  for (adr v = VECTOR_BASE, end = v + (adr)n * VECTOR_SIZE; v < end; v += VECTOR_SIZE) {
    u32 outcome = r32(v + V_OUTCOME), tx = r32(v + V_TX_PORT);
    if (outcome - 1 >= OUT_FIRST_DROP - 1) unusual("tally");
    if (outcome != last_outcome) {
      count_outcome(last_outcome, outcomes);
      last_outcome = outcome;
      outcomes = 0;
    }
    outcomes++;
    if (tx != last_port) {
      count_sent(last_port, packets, bytes);
      last_port = tx;
      packets = bytes = 0;
    }
    packets++;
    bytes += r32(v + V_TOTAL);
  }
  count_outcome(last_outcome, outcomes);
  count_sent(last_port, packets, bytes);
}
