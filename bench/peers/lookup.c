/* Stages 2 and 3: hash and session look-up (dataplane-as/lookup.ts, sessions.ts). */
#include "memory.h"

#define OPEN_MASK (KEY_MASK | (u64)ST_CLOSING << 40)

volatile u32 touched;

void hash_stage(u32 n) {
  adr end = VECTOR_BASE + (adr)n * VECTOR_SIZE;
  for (adr v = VECTOR_BASE; v < end; v += VECTOR_SIZE) {
    u32 hash = session_hash(r64(v + V_SRC), r64(v + V_PORTS));
    w64(v + V_HASH, hash | line_at(hash) << 32);
  }
  u32 sum = 0;
  for (adr v = VECTOR_BASE; v < end; v += VECTOR_SIZE) sum += r32(r32(v + V_SESSION));
  touched = sum;
}

adr find(u64 addresses, u64 key, u32 hash) {
  for (u32 i = 0; i < SESSION_WINDOW; i++) {
    adr line = line_at(hash + i);
    u64 second = r64(line + S_PORTS);
    if (r64(line + S_SRC) == addresses && (second & KEY_MASK) == key) return line;
    if (!(r32(line + S_SRC) | second)) return 0;
  }
  return 0;
}

INLINE u64 differs(adr v, adr line) {
  return (r64(line + S_SRC) ^ r64(v + V_SRC)) | ((r64(line + S_PORTS) ^ r64(v + V_PORTS)) & OPEN_MASK) |
         (r32(line + S_GENERATION) ^ generation);
}

bool lookup(u32 n) {
  static u32 elsewhere[VECTOR_CAPACITY + 1];
  u32 *left = elsewhere;
  for (adr v = VECTOR_BASE, end = v + (adr)n * VECTOR_SIZE; v < end; v += VECTOR_SIZE) {
    *left = (u32)v;
    left += differs(v, r32(v + V_SESSION)) != 0;
  }
  u32 *rest = elsewhere;
  for (u32 *at = elsewhere; at < left; at++) {
    adr v = *at, home = r32(v + V_SESSION), line = line_at(r32(v + V_HASH) + (r32(home + S_SRC) != 0));
    u64 different = differs(v, line);
    w32(v + V_SESSION, (u32)(different ? home : line));
    *rest = (u32)v;
    rest += different != 0;
  }
  bool missing = false;
  for (u32 *at = elsewhere; at < rest; at++) {
    adr v = *at;
    if (r32(v + V_OUTCOME)) continue;
    w32(v + V_SESSION, 0);
    adr line = find(r64(v + V_SRC), r64(v + V_PORTS), r32(v + V_HASH));
    if (!line) {
      missing = true;
      continue;
    }
    if (r32(line + S_GENERATION) != generation || r8(line + S_STATE) == ST_CLOSING) unusual("lookup");
    w32(v + V_SESSION, (u32)line);
  }
  return missing;
}

static void decide(adr v) {
  /* An earlier packet of this batch may have opened the connection (slow.ts). */
  adr line = find(r64(v + V_SRC), r64(v + V_PORTS), r32(v + V_HASH));
  if (line) w32(v + V_SESSION, (u32)line);
  else if (first(v)) unusual("first");
}

void resolve(u32 n) {
  newcomers(n);
  for (int round = 0; round < 3; round++) {
    u32 before = removals;
    for (adr v = VECTOR_BASE, end = v + (adr)n * VECTOR_SIZE; v < end; v += VECTOR_SIZE)
      if (!r32(v + V_OUTCOME) && !r32(v + V_SESSION)) decide(v);
    if (removals == before) return;
    /* Lines may have been taken from packets of this batch: those are decided anew. */
    for (adr v = VECTOR_BASE, end = v + (adr)n * VECTOR_SIZE; v < end; v += VECTOR_SIZE) {
      adr line = r32(v + V_SESSION);
      if (r32(v + V_OUTCOME) || !line) continue;
      if (r64(line + S_SRC) == r64(v + V_SRC) && (r64(line + S_PORTS) & KEY_MASK) == r64(v + V_PORTS)) continue;
      w32(v + V_SESSION, 0);
      if (round == 2) w32(v + V_OUTCOME, DROP_SESSION_FULL);
    }
  }
}
