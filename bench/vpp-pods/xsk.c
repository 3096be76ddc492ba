/* A pod's end of a link by AF_XDP: the kernel copies frames between its packets and our memory. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "port.h"

/* Newer than some distributions' headers. */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

enum { MASK = RING - 1, KICK = 64 };

struct ring {
  uint32_t *producer, *consumer, own;
  void *entries;
};

struct xsk {
  int fd;
  /* A sender has the first two, a receiver the others. */
  struct ring tx, done, rx, fill;
  uint32_t length;
};

static struct ring map_ring(int fd, const struct xdp_ring_offset *at, uint64_t page, size_t entry) {
  char *map = mmap(NULL, at->desc + RING * entry, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)page);
  if (map == MAP_FAILED) fail("mmap of a ring");
  return (struct ring){(uint32_t *)(map + at->producer), (uint32_t *)(map + at->consumer), 0, map + at->desc};
}

static void set(int fd, int option, int value) {
  if (setsockopt(fd, SOL_XDP, option, &value, sizeof value) < 0) fail("setsockopt of AF_XDP");
}

/* The caller goes into the namespace for good. */
static struct xsk *open_xsk(const char *netns, uint8_t **memory) {
  const int of = open(netns, O_RDONLY);
  if (of < 0 || setns(of, CLONE_NEWNET) < 0) fail(netns);
  close(of);
  struct xsk *xsk = calloc(1, sizeof *xsk);
  xsk->fd = socket(AF_XDP, SOCK_RAW, 0);
  if (xsk->fd < 0) fail("socket");
  *memory = mmap(NULL, (size_t)RING * SLOT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (*memory == MAP_FAILED) fail("mmap");
  struct xdp_umem_reg umem = {.addr = (uint64_t)*memory, .len = (uint64_t)RING * SLOT, .chunk_size = SLOT};
  if (setsockopt(xsk->fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof umem) < 0) fail("XDP_UMEM_REG");
  set(xsk->fd, XDP_UMEM_FILL_RING, RING);
  set(xsk->fd, XDP_UMEM_COMPLETION_RING, RING);
  return xsk;
}

static struct xdp_mmap_offsets offsets_of(int fd) {
  struct xdp_mmap_offsets offsets;
  socklen_t got = sizeof offsets;
  if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &got) < 0) fail("XDP_MMAP_OFFSETS");
  return offsets;
}

static void bind_to(int fd, const char *link) {
  struct sockaddr_xdp address = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY, .sxdp_ifindex = if_nametoindex(link)};
  /* The queue is free some time after the socket that had it was closed. */
  for (int tries = 0; bind(fd, (struct sockaddr *)&address, sizeof address) < 0; tries++) {
    if (errno != EBUSY || tries == 400) fail("bind");
    usleep(5000);
  }
}

static void kick(int fd) {
  if (sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN && errno != EBUSY && errno != ENOBUFS) fail("sendto");
}

static void send_batch(void *state) {
  struct xsk *of = state;
  struct ring *tx = &of->tx;
  struct xdp_desc *entries = tx->entries;
  const uint32_t room = RING - (tx->own - __atomic_load_n(of->done.producer, __ATOMIC_ACQUIRE));
  const uint32_t count = room < KICK ? room : KICK;
  for (uint32_t i = 0; i < count; i++, tx->own++)
    entries[tx->own & MASK] = (struct xdp_desc){(uint64_t)(tx->own & MASK) * SLOT, of->length, 0};
  __atomic_store_n(tx->producer, tx->own, __ATOMIC_RELEASE);
  kick(of->fd);
  __atomic_store_n(of->done.consumer, __atomic_load_n(of->done.producer, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
}

static uint32_t receive_all(void *state) {
  struct xsk *of = state;
  struct ring *rx = &of->rx, *fill = &of->fill;
  const uint32_t arrived = __atomic_load_n(rx->producer, __ATOMIC_ACQUIRE) - rx->own;
  for (uint32_t i = 0; i < arrived; i++, rx->own++, fill->own++)
    ((uint64_t *)fill->entries)[fill->own & MASK] = ((struct xdp_desc *)rx->entries)[rx->own & MASK].addr / SLOT * SLOT;
  __atomic_store_n(rx->consumer, rx->own, __ATOMIC_RELEASE);
  __atomic_store_n(fill->producer, fill->own, __ATOMIC_RELEASE);
  return arrived;
}

struct port xsk_sender(const char *netns, const char *link, const struct frames *frames) {
  uint8_t *memory;
  struct xsk *of = open_xsk(netns, &memory);
  for (uint32_t i = 0; i < RING; i++)
    memcpy(memory + (size_t)i * SLOT, frames->bytes + (size_t)(i % frames->count) * frames->length, frames->length);
  of->length = frames->length;
  set(of->fd, XDP_TX_RING, RING);
  const int budget = KICK, buffer = 4 << 20;
  setsockopt(of->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  setsockopt(of->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof budget);
  const struct xdp_mmap_offsets offsets = offsets_of(of->fd);
  of->tx = map_ring(of->fd, &offsets.tx, XDP_PGOFF_TX_RING, sizeof(struct xdp_desc));
  of->done = map_ring(of->fd, &offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING, sizeof(uint64_t));
  bind_to(of->fd, link);
  return (struct port){of, send_batch, receive_all};
}

static int bpf(enum bpf_cmd command, union bpf_attr *attributes) {
  const int got = (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
  if (got < 0) fail("bpf");
  return got;
}

/* An XDP program that hands everything to the socket: return bpf_redirect_map(map, 0, XDP_PASS). It goes with this process. */
static void redirect_to(int fd, const char *link) {
  union bpf_attr create = {.map_type = BPF_MAP_TYPE_XSKMAP, .key_size = 4, .value_size = 4, .max_entries = 1};
  const int map = bpf(BPF_MAP_CREATE, &create);
  const struct bpf_insn code[] = {
      {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map},
      {0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
      {.code = BPF_JMP | BPF_EXIT},
  };
  union bpf_attr load = {.prog_type = BPF_PROG_TYPE_XDP, .insn_cnt = sizeof code / sizeof *code, .insns = (uint64_t)code, .license = (uint64_t) ""};
  const int program = bpf(BPF_PROG_LOAD, &load);
  const uint32_t key = 0;
  union bpf_attr put = {.map_fd = (uint32_t)map, .key = (uint64_t)&key, .value = (uint64_t)&fd};
  bpf(BPF_MAP_UPDATE_ELEM, &put);
  union bpf_attr attach = {.link_create = {.prog_fd = (uint32_t)program, .target_ifindex = if_nametoindex(link), .attach_type = BPF_XDP, .flags = XDP_FLAGS_DRV_MODE}};
  bpf(BPF_LINK_CREATE, &attach);
}

struct port xsk_receiver(const char *netns, const char *link) {
  uint8_t *memory;
  struct xsk *of = open_xsk(netns, &memory);
  set(of->fd, XDP_RX_RING, RING);
  const struct xdp_mmap_offsets offsets = offsets_of(of->fd);
  of->rx = map_ring(of->fd, &offsets.rx, XDP_PGOFF_RX_RING, sizeof(struct xdp_desc));
  of->fill = map_ring(of->fd, &offsets.fr, XDP_UMEM_PGOFF_FILL_RING, sizeof(uint64_t));
  for (uint32_t i = 0; i < RING; i++) ((uint64_t *)of->fill.entries)[i] = (uint64_t)i * SLOT;
  of->fill.own = RING;
  __atomic_store_n(of->fill.producer, RING, __ATOMIC_RELEASE);
  bind_to(of->fd, link);
  redirect_to(of->fd, link);
  return (struct port){of, send_batch, receive_all};
}
