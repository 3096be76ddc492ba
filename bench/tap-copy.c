/* The least that passing packets from one TAP to another takes: this reads from each and writes to the other, and does nothing else.
 *
 *   tap-copy NETNS_A NETNS_B PACKETS BUFFERS PART OFFSET
 *
 * PACKETS are read before they are written, into BUFFERS that are used in turn, each in parts of PART bytes (0: one) that begin OFFSET bytes behind
 * a page's begin. Takes the TAP eth0 of each namespace (paths), says "ready" and runs until it is ended. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, LONGEST = 66 * 1024, ROOM = 128 * 1024, MOST_PACKETS = 32, MOST_PARTS = 64 };

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int open_tap(const char *netns) {
  const int space = open(netns, O_RDONLY | O_CLOEXEC);
  if (space < 0 || setns(space, CLONE_NEWNET) != 0) fail(netns);
  close(space);
  const int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  struct ifreq request = {.ifr_name = "eth0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  if (tap < 0 || ioctl(tap, TUNSETIFF, &request) != 0) fail("TUNSETIFF");
  if (ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) != 0) fail("TUNSETOFFLOAD");
  return tap;
}

/* The parts of a buffer for `length` bytes; how many. */
static int parts_of(struct iovec *parts, char *buffer, size_t part, size_t length) {
  int count = 0;
  for (size_t at = 0; at < length; at += part) {
    const size_t left = length - at;
    parts[count++] = (struct iovec){buffer + at, left < part ? left : part};
  }
  return count;
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  const int packets = atoi(argv[3]), buffers = atoi(argv[4]);
  const size_t part = argv[5][0] == '0' ? ROOM : (size_t)atoi(argv[5]), offset = (size_t)atoi(argv[6]);
  if (packets < 1 || packets > MOST_PACKETS || buffers < packets || LONGEST / part >= MOST_PARTS || offset > PAGE) return 2;
  const int taps[2] = {open_tap(argv[1]), open_tap(argv[2])};
  char *memory = aligned_alloc(PAGE, (size_t)ROOM * (size_t)buffers);
  if (memory == NULL) fail("aligned_alloc");
  setpriority(PRIO_PROCESS, 0, -20); /* as the data plane's busy worker */
  puts("ready");
  fflush(stdout);
  for (int next = 0;;) {
    int got = 0;
    for (int from = 0; from < 2; from++) {
      struct iovec parts[MOST_PARTS];
      char *filled[MOST_PACKETS];
      ssize_t lengths[MOST_PACKETS];
      int count = 0;
      for (; count < packets; count++) {
        filled[count] = memory + (size_t)ROOM * (size_t)((next + count) % buffers) + offset;
        lengths[count] = readv(taps[from], parts, parts_of(parts, filled[count], part, LONGEST));
        if (lengths[count] <= 0) break;
      }
      /* With as many buffers as packets each batch begins anew with the first. */
      next = buffers == packets ? 0 : (next + count) % buffers;
      for (int i = 0; i < count; i++) {
        const int n = parts_of(parts, filled[i], part, (size_t)lengths[i]);
        if (writev(taps[1 - from], parts, n) < 0) continue; /* a full queue: lost, as on a link */
      }
      got += count;
    }
    if (got == 0) sched_yield();
  }
}
