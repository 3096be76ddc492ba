/* Copies prepared packets into frames, as dataplane-as/bench/feed.ts does. */
#include "memory.h"

static u32 next;

void feed_reset(void) { next = 0; }

void feed(adr source, u32 count, u32 n, adr frames, u32 frame_size, u32 length, u32 port) {
  u32 record = length > 64 ? 128 : 64;
  adr v = VECTOR_BASE;
  for (u32 i = 0; i < n; i++, v += VECTOR_SIZE) {
    adr from = source + (adr)next * record, to = frames + (adr)i * frame_size;
    next = next + 1 == count ? 0 : next + 1;
    for (u32 k = 0; k < 64; k += 16) copy16(to + k, from + k);
    if (length > 64)
      for (u32 k = 64; k < 112; k += 16) copy16(to + k, from + k);
    /* Four stores as on the other side: made one of a vector, they take the feed twice as long. */
    volatile u32 *line = (volatile u32 *)(M + v);
    line[V_ADDRESS / 4] = (u32)to;
    line[V_LENGTH / 4] = length;
    line[V_TOTAL / 4] = length;
    line[V_RX_PORT / 4] = port;
  }
}
