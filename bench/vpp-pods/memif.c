/* A pod's end of a memif, the side that owns the memory ("slave"): shared memory packet interface, protocol version 2.0, as VPP's
 * documentation describes it. One ring each way; who forwards is woken by an eventfd, unless it says that it looks by itself. */
#define _GNU_SOURCE
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "port.h"

enum { VERSION = 2 << 8, COOKIE = 0x3E31F20, LOG2_RING = 10, MASK = RING - 1 };
enum { ACK = 1, HELLO = 2, INIT = 3, ADD_REGION = 4, ADD_RING = 5, CONNECT = 6, CONNECTED = 7, DISCONNECT = 8 };
enum { TO_VPP = 1, NO_INTERRUPT = 1 };

/* Messages on the socket, 128 bytes each, little endian, unpadded. */
struct __attribute__((packed)) message {
  uint16_t type;
  union {
    struct __attribute__((packed)) {
      uint8_t name[32];
      uint16_t lowest, highest;
    } hello;
    struct __attribute__((packed)) {
      uint16_t version;
      uint32_t id;
      uint8_t mode, secret[24], name[32];
    } init;
    struct __attribute__((packed)) {
      uint16_t index;
      uint64_t size;
    } region;
    struct __attribute__((packed)) {
      uint16_t flags, index, region;
      uint32_t offset;
      uint8_t log2_size;
      uint16_t private_header;
    } ring;
    uint8_t name[32];
    struct __attribute__((packed)) {
      uint32_t code;
      char text[96];
    } farewell;
    uint8_t all[126];
  };
};
_Static_assert(sizeof(struct message) == 128, "a message of memif");

struct __attribute__((packed)) descriptor {
  uint16_t flags, region;
  uint32_t length, offset, metadata;
};

struct ring {
  uint32_t cookie;
  uint16_t flags;
  volatile uint16_t head;
  uint8_t pad[56];
  volatile uint16_t tail;
  uint8_t pad2[62];
  struct descriptor slots[RING];
};

struct memif {
  /* Towards VPP: we put frames in at the head. From VPP: we put room in at the head, and it fills up to the tail. */
  struct ring *out, *in;
  int bell;
  uint16_t taken;
};

static void say(int fd, const struct message *message, int passed) {
  struct iovec part = {(void *)message, sizeof *message};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
  if (passed >= 0) {
    header.msg_control = &control;
    header.msg_controllen = sizeof control;
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &passed, sizeof passed);
  }
  if (sendmsg(fd, &header, 0) != sizeof *message) fail("memif: sendmsg");
}

static void expect(int fd, uint16_t type) {
  struct message message = {0};
  if (recv(fd, &message, sizeof message, 0) != sizeof message) fail("memif: recv");
  if (message.type == type) return;
  errno = EPROTO;
  fail(message.type == DISCONNECT ? message.farewell.text : "memif: another message than expected");
}

static void ask(int fd, const struct message *message, int passed, uint16_t answer) {
  say(fd, message, passed);
  expect(fd, answer);
}

/* Where the frames begin, or the room for what comes. */
static const uint32_t BUFFERS = 2 * sizeof(struct ring);

static uint32_t ring_offset(int to_vpp) { return to_vpp ? 0 : sizeof(struct ring); }

static void handshake(int fd, uint32_t id, int memory, uint64_t size, const int bells[2]) {
  expect(fd, HELLO);
  struct message init = {.type = INIT, .init = {.version = VERSION, .id = id, .name = "pods"}};
  ask(fd, &init, -1, ACK);
  struct message region = {.type = ADD_REGION, .region = {.index = 0, .size = size}};
  ask(fd, &region, memory, ACK);
  for (int to_vpp = 1; to_vpp >= 0; to_vpp--) {
    struct message ring = {.type = ADD_RING, .ring = {.flags = to_vpp ? TO_VPP : 0, .log2_size = LOG2_RING, .offset = ring_offset(to_vpp)}};
    ask(fd, &ring, bells[to_vpp], ACK);
  }
  struct message connect = {.type = CONNECT, .name = "pod"};
  ask(fd, &connect, -1, CONNECTED);
}

static void send_batch(void *state) {
  struct memif *of = state;
  struct ring *ring = of->out;
  const uint16_t head = ring->head, under_way = head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
  const uint32_t room = RING - under_way, count = room < BATCH ? room : BATCH;
  if (count == 0) return;
  /* The slots have been filled once and for all: slot i is frame i, and VPP changes nothing in them. */
  __atomic_store_n(&ring->head, (uint16_t)(head + count), __ATOMIC_RELEASE);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  const uint64_t one = 1;
  if ((ring->flags & NO_INTERRUPT) == 0 && write(of->bell, &one, sizeof one) < 0 && errno != EAGAIN) fail("memif: eventfd");
}

static uint32_t receive_all(void *state) {
  struct memif *of = state;
  struct ring *ring = of->in;
  const uint16_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE), arrived = tail - of->taken;
  if (arrived == 0) return 0;
  for (uint16_t i = 0; i < arrived; i++) ring->slots[(of->taken + i) & MASK].length = SLOT;
  of->taken = tail;
  __atomic_store_n(&ring->head, (uint16_t)(tail + RING), __ATOMIC_RELEASE);
  return arrived;
}

struct port memif_port(const char *path, uint32_t id, const struct frames *frames) {
  const uint64_t size = BUFFERS + 2ull * RING * SLOT;
  const int memory = memfd_create("pod", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  if (memory < 0 || ftruncate(memory, (off_t)size) < 0) fail("memfd");
  uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory, 0);
  if (base == MAP_FAILED) fail("mmap");
  struct memif *of = calloc(1, sizeof *of);
  of->out = (struct ring *)base;
  of->in = (struct ring *)(base + ring_offset(0));
  of->out->cookie = of->in->cookie = COOKIE;
  of->in->flags = NO_INTERRUPT;
  for (uint32_t i = 0; i < RING; i++) {
    const uint32_t out = BUFFERS + i * SLOT, in = out + RING * SLOT;
    of->in->slots[i] = (struct descriptor){.length = SLOT, .offset = in};
    if (frames == NULL) continue;
    memcpy(base + out, frames->bytes + (uint64_t)(i % frames->count) * frames->length, frames->length);
    of->out->slots[i] = (struct descriptor){.length = frames->length, .offset = out};
  }
  of->in->head = RING;
  const int bells[2] = {eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK)};
  of->bell = bells[1];
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail(path);
  handshake(fd, id, memory, size, bells);
  return (struct port){of, send_batch, receive_all};
}
