/* The generator: an AF_XDP socket on a pod's own end of its link, which sends prepared frames in turn as fast as the kernel takes them.
 *
 *   sender NETNS LINK FRAMES LENGTH CORE MILLIS
 *
 * FRAMES is a file of frames of LENGTH bytes. Each becomes an skb that the kernel makes for it, as a pod's own are. Prints "sending",
 * and when it ends how many packets a second the kernel took. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Newer than some distributions' headers. */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

enum { CHUNK = 4096, RING = 2048, BATCH = 64, BUDGET = 256, PATIENCE = 400 };

struct ring {
  uint32_t *producer, *consumer, own;
  void *entries;
};

static void fail(const char *what) {
  fprintf(stderr, "sender: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct ring map_ring(int fd, const struct xdp_ring_offset *at, uint64_t page, size_t entry) {
  char *map = mmap(NULL, at->desc + RING * entry, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)page);
  if (map == MAP_FAILED) fail("mmap");
  return (struct ring){(uint32_t *)(map + at->producer), (uint32_t *)(map + at->consumer), 0, map + at->desc};
}

/* The queue is free some time after the socket that had it was closed. */
static void bind_patiently(int fd, uint32_t ifindex) {
  struct sockaddr_xdp address = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY, .sxdp_ifindex = ifindex};
  for (int tries = 0; bind(fd, (struct sockaddr *)&address, sizeof address) < 0; tries++) {
    if (errno != EBUSY || tries == PATIENCE) fail("bind");
    usleep(5000);
  }
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  const uint32_t length = (uint32_t)atoi(argv[4]), stride = length <= 64 ? 64 : 128;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(atoi(argv[5]), &cores);
  if (sched_setaffinity(0, sizeof cores, &cores) < 0) fail("sched_setaffinity");

  const int file = open(argv[3], O_RDONLY);
  struct stat status;
  if (file < 0 || fstat(file, &status) < 0) fail(argv[3]);
  const uint32_t count = (uint32_t)status.st_size / length;
  const uint64_t bytes = ((uint64_t)count * stride + CHUNK - 1) / CHUNK * CHUNK;
  char *frames = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (frames == MAP_FAILED) fail("mmap");
  for (uint32_t i = 0; i < count; i++)
    if (read(file, frames + (uint64_t)i * stride, length) != (ssize_t)length) fail("read");

  const int netns = open(argv[1], O_RDONLY);
  if (netns < 0 || setns(netns, 0) < 0) fail("setns");
  const int fd = socket(AF_XDP, SOCK_RAW, 0);
  if (fd < 0) fail("socket");
  struct xdp_umem_reg umem = {.addr = (uint64_t)frames, .len = bytes, .chunk_size = CHUNK};
  const int size = RING, budget = BUDGET, buffer = 4 << 20;
  if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof umem) < 0) fail("XDP_UMEM_REG");
  if (setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &size, sizeof size) < 0) fail("XDP_UMEM_FILL_RING");
  if (setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &size, sizeof size) < 0) fail("XDP_UMEM_COMPLETION_RING");
  if (setsockopt(fd, SOL_XDP, XDP_TX_RING, &size, sizeof size) < 0) fail("XDP_TX_RING");
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof budget);
  struct xdp_mmap_offsets offsets;
  socklen_t got = sizeof offsets;
  if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &got) < 0) fail("XDP_MMAP_OFFSETS");
  struct ring tx = map_ring(fd, &offsets.tx, XDP_PGOFF_TX_RING, sizeof(struct xdp_desc));
  struct ring done = map_ring(fd, &offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING, sizeof(uint64_t));
  bind_patiently(fd, if_nametoindex(argv[2]));

  puts("sending");
  fflush(stdout);
  const double start = now(), end = start + atof(argv[6]) / 1000;
  uint64_t sent = 0;
  double at = start;
  for (uint32_t next = 0; at < end; at = now()) {
    /* Frames are only read, so one may be on its way twice: what counts is room in the rings. */
    while (tx.own - __atomic_load_n(done.producer, __ATOMIC_ACQUIRE) <= RING - BATCH) {
      struct xdp_desc *entries = tx.entries;
      for (uint32_t i = 0; i < BATCH; i++) {
        entries[tx.own++ & (RING - 1)] = (struct xdp_desc){(uint64_t)next * stride, length, 0};
        next = next + 1 == count ? 0 : next + 1;
      }
      __atomic_store_n(tx.producer, tx.own, __ATOMIC_RELEASE);
      if (sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN && errno != EBUSY && errno != ENOBUFS) fail("sendto");
      __atomic_store_n(done.consumer, __atomic_load_n(done.producer, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
      if (tx.own % (16 * BATCH) == 0 && now() >= end) break;
    }
    sent = __atomic_load_n(tx.consumer, __ATOMIC_ACQUIRE);
    if (sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN && errno != EBUSY && errno != ENOBUFS) fail("sendto");
    __atomic_store_n(done.consumer, __atomic_load_n(done.producer, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
  }
  printf("%.0f\n", (double)sent / (at - start));
  return 0;
}
