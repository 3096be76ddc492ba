/*
 * The peer: the same stages in C over a copy of the same memory. Commands on stdin, one answer a line: nanoseconds, and how often
 * another process took the core:
 *   run BATCHES N STAGES SOURCE FLOWS FRAMES SIZE LENGTH PORT CLOCK   batches of N packets through the feed and the first STAGES stages -> ns
 *   open PASSES FROM TO and the same                      as many times, and once before that is not timed, from the first packet on,
 *                                                         with the bytes from FROM to TO zero
 *   keep BATCHES N STAGE SOURCE FLOWS FRAMES SIZE LENGTH PORT CLOCK KEPT   from the first packet on, the vectors that STAGE finds, to KEPT
 *   again ROUNDS STAGE WORKS KEPT COUNT N CLOCK           STAGE alone, eight times over each of these COUNT vectors; WORKS 0: only what
 *                                                         makes them ready
 *   load huge|small PATH / save PATH FROM TO              memory from a file, of pages of that kind, or to a file
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"

adr image, ports, adjacencies, sessions;
u32 generation, now, adjacency_count, session_mask;
u64 seed;

void unusual(const char *where) {
  fprintf(stderr, "the peer does not know this packet: %s\n", where);
  exit(1);
}

void begin(u32 clock) {
  now = clock;
  image = __atomic_load_n((u32 *)(M + CONTROL_BASE + CTL_ACTIVE_IMAGE), __ATOMIC_SEQ_CST);
  generation = r32(image + IMG_GENERATION);
  ports = image + r32(image + IMG_PORTS);
  adjacencies = image + r32(image + IMG_ADJACENCIES);
  adjacency_count = r32(image + IMG_ADJACENCIES_COUNT);
  sessions = r32(CONTROL_BASE + CTL_SESSIONS_BASE);
  session_mask = (1u << r32(CONTROL_BASE + CTL_SESSIONS_LOG2)) - 1;
  u64 word = r32(CONTROL_BASE + CTL_SEED);
  seed = (word ^ word << 32) * 0x9e3779b97f4a7c15ull;
}

enum { PARSE = 1, HASH, LOOKUP, FORWARD, OUTPUT, TALLY, REPEATS = 8 };

/* The same cuts as dataplane-as/bench/stages.ts. */
static void stages(u32 n, u32 last, u32 clock) {
  if (last < PARSE) return;
  begin(clock);
  parse(n);
  if (last < HASH) return;
  hash_stage(n);
  if (last < LOOKUP) return;
  bool missing = lookup(n);
  if (missing) resolve(n);
  if (last < FORWARD) return;
  forward(n);
  if (last < OUTPUT) return;
  output(n);
  if (last < TALLY) return;
  tally(n);
  if (r32(CONTROL_BASE + CTL_ACK_IMAGE) != image)
    __atomic_store_n((u32 *)(M + CONTROL_BASE + CTL_ACK_IMAGE), image, __ATOMIC_SEQ_CST);
}

/* keep() and again() of dataplane-as/bench/stages.ts. */
static void keep(const u64 *a) {
  adr kept = a[10], end = VECTOR_BASE + a[1] * VECTOR_SIZE;
  for (u64 i = 0; i < a[0]; i++) {
    feed(a[3], (u32)a[4], (u32)a[1], a[5], (u32)a[6], (u32)a[7], (u32)a[8]);
    stages((u32)a[1], (u32)a[2] - 1, (u32)a[9]);
    for (adr v = VECTOR_BASE; v < end; v += VECTOR_SIZE, kept += VECTOR_SIZE) {
      if (a[2] >= FORWARD) w32(v + V_HANDLE, r32(r32(v + V_L3) + 8));
      memcpy(M + kept, M + v, VECTOR_SIZE);
    }
  }
}

static __attribute__((noinline)) void touch_lines(adr size) {
  u32 sum = 0;
  for (adr v = VECTOR_BASE; v < VECTOR_BASE + size; v += VECTOR_SIZE) sum += r32(r32(v + V_SESSION));
  touched = sum;
}

static __attribute__((noinline)) void restore_homes(adr from, adr size) {
  for (adr i = 0; i < size; i += VECTOR_SIZE) w32(VECTOR_BASE + i + V_SESSION, r32(from + i + V_SESSION));
}

static __attribute__((noinline)) void restore_words(adr size) {
  for (adr v = VECTOR_BASE; v < VECTOR_BASE + size; v += VECTOR_SIZE) w32(r32(v + V_L3) + 8, r32(v + V_HANDLE));
}

static __attribute__((noinline)) void restore_frames(adr from, adr size) {
  for (adr i = 0; i < size; i += VECTOR_SIZE) {
    copy16(VECTOR_BASE + i, from + i);
    copy16(VECTOR_BASE + i + 16, from + i + 16);
  }
}

static void stage(u32 n, u32 which) {
  if (which == PARSE) parse(n);
  else if (which == HASH) hash_stage(n);
  else if (which == LOOKUP) lookup(n);
  else if (which == FORWARD) forward(n);
  else if (which == OUTPUT) output(n);
  else if (which == TALLY) tally(n);
}

static void again(u64 rounds, u32 last, bool works, adr kept, u64 count, u32 n, u32 clock) {
  begin(clock);
  adr size = (adr)n * VECTOR_SIZE, behind = kept + count * size;
  for (u64 round = 0; round < rounds; round++) {
    for (adr from = kept; from < behind; from += size) {
      memcpy(M + VECTOR_BASE, M + from, size);
      if (last >= LOOKUP) touch_lines(size);
      for (u32 i = 0; i < REPEATS; i++) {
        if (last == LOOKUP) restore_homes(from, size);
        else if (last == FORWARD) restore_words(size);
        else if (last == OUTPUT) restore_frames(from, size);
        if (works) stage(n, last);
      }
    }
  }
}

static u64 clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static void transfer(const char *path, bool out, u64 from, u64 to, bool huge) {
  int fd = open(path, out ? O_CREAT | O_TRUNC | O_WRONLY : O_RDONLY, 0600);
  struct stat info;
  if (fd < 0 || fstat(fd, &info)) unusual(path);
  if (!out) {
    to = (u64)info.st_size;
    if (mmap(M, to, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != M) unusual("mmap");
    if (huge && madvise(M, to, MADV_HUGEPAGE)) unusual("madvise");
  }
  for (u64 at = from; at < to;) {
    ssize_t done = out ? write(fd, M + at, to - at) : read(fd, M + at, to - at);
    if (done <= 0) unusual("transfer");
    at += (u64)done;
  }
  close(fd);
}

static u64 elapsed, switches;

/* The arguments of "run". */
static void run(const u64 *a) {
  for (u64 i = 0; i < a[0]; i++) {
    feed(a[3], (u32)a[4], (u32)a[1], a[5], (u32)a[6], (u32)a[7], (u32)a[8]);
    stages((u32)a[1], (u32)a[2], (u32)a[9]);
  }
}

/* The arguments of "again". */
static void run_again(const u64 *a) { again(a[0], (u32)a[1], a[2], a[3], a[4], (u32)a[5], (u32)a[6]); }

static void timed(void (*work)(const u64 *), const u64 *a) {
  struct rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  u64 start = clock_ns();
  work(a);
  elapsed += clock_ns() - start;
  getrusage(RUSAGE_SELF, &after);
  switches += (u64)(after.ru_nivcsw - before.ru_nivcsw);
}

/* How many numbers `text` begins with, at most `most`. */
static int numbers(const char *text, u64 *to, int most) {
  int n = 0;
  for (char *end; n < most; n++, text = end) {
    to[n] = strtoull(text, &end, 10);
    if (end == text) break;
  }
  return n;
}

int main(void) {
  char text[4096], path[2048], pages[16];
  u64 a[13];
  while (fgets(text, sizeof text, stdin)) {
    elapsed = switches = 0;
    if (!strncmp(text, "run ", 4) && numbers(text + 4, a, 10) == 10) {
      timed(run, a);
    } else if (!strncmp(text, "keep ", 5) && numbers(text + 5, a, 11) == 11) {
      feed_reset();
      keep(a);
    } else if (!strncmp(text, "again ", 6) && numbers(text + 6, a, 7) == 7) {
      timed(run_again, a);
    } else if (!strncmp(text, "open ", 5) && numbers(text + 5, a, 13) == 13) {
      for (u64 i = 0; i <= a[0]; i++) {
        memset(M + a[1], 0, a[2] - a[1]);
        feed_reset();
        timed(run, a + 3);
        if (!i) elapsed = switches = 0;
      }
    } else if (sscanf(text, "load %15s %2000s", pages, path) == 2) {
      transfer(path, false, 0, 0, !strcmp(pages, "huge"));
      feed_reset();
    } else if (sscanf(text, "save %2000s %lu %lu", path, a, a + 1) == 3) {
      transfer(path, true, a[0], a[1], false);
    } else {
      unusual(text);
    }
    printf("%lu %lu\n", elapsed, switches);
    fflush(stdout);
  }
  return 0;
}
