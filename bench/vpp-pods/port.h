/* How the program of two pods reaches their ends: by memif, or by AF_XDP on a link. Both are rings in memory shared with who forwards. */
#pragma once
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frames are 2048 bytes apart at most; rings have so many entries. */
enum { SLOT = 2048, RING = 1024, BATCH = 256 };

/* Frames that are sent in turn; they are only read, so that one may be on its way more than once. */
struct frames {
  const uint8_t *bytes;
  uint32_t count, length;
};

struct port {
  void *state;
  /* Hands over up to BATCH frames, as many as there is room for. */
  void (*send)(void *state);
  /* Gives back what arrived since the last call, and says how many frames it was. */
  uint32_t (*receive)(void *state);
};

static inline void fail(const char *what) {
  fprintf(stderr, "pods: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* A pod's memif: where VPP listens, and the number of the interface. Frames may be null where nothing is sent. */
struct port memif_port(const char *socket, uint32_t id, const struct frames *frames);

/* A pod's end of a link in a network namespace. Leaves the process in that namespace. */
struct port xsk_sender(const char *netns, const char *link, const struct frames *frames);
struct port xsk_receiver(const char *netns, const char *link);
