/*
 * The peer's view of the pipeline's memory: the same bytes at the same offsets (layout.h is made from dataplane-as/layout),
 * mapped at a fixed address so that the compiler may fold it.
 */
#pragma once
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "layout.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
/* An address in the memory. Not u32: sums of those wrap, which would cost an instruction each. */
typedef uint64_t adr;

#define M ((u8 *)0x100000000000ull)
#define INLINE static inline __attribute__((always_inline))

INLINE u8 r8(adr at) { return M[at]; }
INLINE u16 r16(adr at) { u16 x; memcpy(&x, M + at, 2); return x; }
INLINE u32 r32(adr at) { u32 x; memcpy(&x, M + at, 4); return x; }
INLINE u64 r64(adr at) { u64 x; memcpy(&x, M + at, 8); return x; }
INLINE void w8(adr at, u8 x) { M[at] = x; }
INLINE void w16(adr at, u16 x) { memcpy(M + at, &x, 2); }
INLINE void w32(adr at, u32 x) { memcpy(M + at, &x, 4); }
INLINE void w64(adr at, u64 x) { memcpy(M + at, &x, 8); }
INLINE void copy16(adr to, adr from) { memcpy(M + to, M + from, 16); }

#define MAC_MASK 0xffffffffffffull
enum { ICMP = 1, TCP = 6, UDP = 17, SCTP = 132, FIN = 1, SYN = 2, RST = 4, ACK = 16 };

/* What a batch works with, read once a batch (context.ts). */
extern adr image, ports, adjacencies, sessions;
extern u32 generation, now, adjacency_count, session_mask;
extern u64 seed;
/* Rises with each line that is taken from its connection. */
extern u32 removals;
/* Only so that reading lines ahead is not dropped. */
extern volatile u32 touched;

/* The benchmark sends only what these stages know; anything else is a mistake of the benchmark. */
__attribute__((noreturn, cold)) void unusual(const char *where);

INLINE u32 fold(u64 sum) {
  u64 s = (sum & 0xffffffff) + (sum >> 32);
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  return (u32)((s & 0xffff) + (s >> 16));
}

INLINE u32 fold32(u64 sum) {
  u64 s = (sum & 0xffffffff) + (sum >> 32);
  return (u32)((s & 0xffff) + (s >> 16));
}

INLINE u16 adjust(u32 checksum, u32 delta) {
  u32 s = (~checksum & 0xffff) + delta;
  return (u16) ~((s & 0xffff) + (s >> 16));
}

INLINE u32 session_hash(u64 addresses, u64 key) {
  u64 h = (addresses ^ seed) * 0x9e3779b97f4a7c15ull;
  h ^= h >> 32;
  h = (h + key) * 0xd6e8feb86659fd93ull;
  h ^= h >> 32;
  h *= 0x9e3779b97f4a7c15ull;
  return (u32)(h >> 32);
}

INLINE u32 home_of(u32 a, u32 b, u32 log2) {
  return ((a * (u32)HASH_A) ^ ((b + (u32)HASH_B) * (u32)HASH_C)) >> (32 - log2);
}

INLINE u32 image_hash(u32 a, u32 b) {
  u32 h = (a * (u32)HASH_A) ^ ((b + (u32)HASH_B) * (u32)HASH_C);
  h ^= h >> 15;
  h *= (u32)HASH_D;
  return h ^ (h >> 13);
}

INLINE adr line_at(u32 index) { return sessions + ((adr)(index & session_mask) << SESSION_SHIFT); }
/* A word of the line behind a home line that somebody has, or of the home line. */
INLINE u32 second_of(u32 hash) { return r32(line_at(hash + (r32(line_at(hash) + S_SRC) != 0))); }
INLINE void add64(adr at, u64 n) { w64(at, r64(at) + n); }
INLINE void count_rule(u32 id) {
  if (id < MAX_RULES) add64(RULE_COUNTERS_BASE + (id << 3), 1);
}

/* No prefix matches. */
#define MISS 0xffffffffu
/* Ports and protocol of a line's tuple. */
#define KEY_MASK 0xffffffffffull

void feed(adr source, u32 count, u32 n, adr frames, u32 frame_size, u32 length, u32 port);
void feed_reset(void);
void begin(u32 clock);
void parse(u32 n);
void hash_stage(u32 n);
bool lookup(u32 n);
void resolve(u32 n);
void forward(u32 n);
void output(u32 n);
void tally(u32 n);
adr find(u64 addresses, u64 key, u32 hash);
int first(adr v);
void newcomers(u32 n);
u32 lookup4(u32 space, u32 address);
u32 service_of(u32 address, u32 port, u32 protocol);
adr backend_of(adr row, u64 addresses, u64 key);
u32 verdict_for(u32 policy, u32 peer, u32 key);
u64 neighbor_mac(u32 address, u32 port);
void confirm(u32 address, u32 port, u64 mac);
