/* Neighbors on the uplink, as dataplane-as/neighbors.ts keeps them. */
#include "memory.h"

static adr entry_of(u32 address, u32 port) {
  u32 start = image_hash(address, port);
  for (u32 i = 0; i < 8; i++) {
    adr entry = NEIGHBORS_BASE + (adr)((start + i) & (NEIGHBOR_CAPACITY - 1)) * NEIGHBOR_SIZE;
    if (r32(entry + NB_IP4) == address && r32(entry + NB_PORT) == port) return entry;
  }
  return 0;
}

u64 neighbor_mac(u32 address, u32 port) {
  adr entry = entry_of(address, port);
  if (!entry || r8(entry + NB_STATE) != 2) return 0;
  w32(entry + NB_USED, now);
  return r64(entry + NB_MAC) & MAC_MASK;
}

void confirm(u32 address, u32 port, u64 mac) {
  adr entry = entry_of(address, port);
  if (entry && r64(entry + NB_MAC) == (mac | 2ull << 48)) w32(entry + NB_SEEN, now);
}
