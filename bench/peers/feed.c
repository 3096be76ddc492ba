/* Copies prepared packets into frames, as dataplane-as/bench/feed.ts does. */
#include "memory.h"

static u32 next;

void feed_reset(void) { next = 0; }

void feed(u32 source, u32 count, u32 n, u32 frames, u32 frame_size, u32 length, u32 port) {
  u32 record = length > 64 ? 128 : 64;
  for (u32 i = 0, v = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    u32 from = source + next * record, to = frames + i * frame_size;
    next = next + 1 == count ? 0 : next + 1;
    for (u32 k = 0; k < 64; k += 16) copy16(to + k, from + k);
    if (length > 64)
      for (u32 k = 64; k < 112; k += 16) copy16(to + k, from + k);
    w32(v + V_ADDRESS, to);
    w32(v + V_LENGTH, length);
    w32(v + V_TOTAL, length);
    w32(v + V_RX_PORT, port);
  }
}
