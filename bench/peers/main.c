/*
 * The peer: the same stages in C over a copy of the same memory. Commands on stdin, one answer a line: nanoseconds, and how often
 * another process took the core:
 *   run BATCHES N STAGES SOURCE FLOWS FRAMES SIZE LENGTH PORT CLOCK   batches of N packets through the feed and the first STAGES stages -> ns
 *   open PASSES FROM TO and the same                      as many times, and once before that is not timed, from the first packet on,
 *                                                         with the bytes from FROM to TO zero
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

/* The same cuts as dataplane-as/bench/stages.ts. */
static void stages(u32 n, u32 last, u32 clock) {
  if (last < 1) return;
  begin(clock);
  parse(n);
  if (last < 2) return;
  hash_stage(n);
  if (last < 3) return;
  bool missing = lookup(n);
  if (missing) resolve(n);
  if (last < 4) return;
  forward(n);
  if (last < 5) return;
  output(n);
  if (last < 6) return;
  tally(n);
  if (r32(CONTROL_BASE + CTL_ACK_IMAGE) != image)
    __atomic_store_n((u32 *)(M + CONTROL_BASE + CTL_ACK_IMAGE), image, __ATOMIC_SEQ_CST);
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
  struct rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  u64 start = clock_ns();
  for (u64 i = 0; i < a[0]; i++) {
    feed(a[3], (u32)a[4], (u32)a[1], a[5], (u32)a[6], (u32)a[7], (u32)a[8]);
    stages((u32)a[1], (u32)a[2], (u32)a[9]);
  }
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
      run(a);
    } else if (!strncmp(text, "open ", 5) && numbers(text + 5, a, 13) == 13) {
      for (u64 i = 0; i <= a[0]; i++) {
        memset(M + a[1], 0, a[2] - a[1]);
        feed_reset();
        run(a + 3);
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
