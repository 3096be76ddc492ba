/* Two pods whose programs want frames, not a stack: one sends as fast as it is let, the other counts what reaches it.
 *
 *   pods FRAMES LENGTH CORE WARM_MILLIS WINDOW_MILLIS WINDOWS memif SOCKET ID SOCKET ID
 *   pods FRAMES LENGTH CORE WARM_MILLIS WINDOW_MILLIS WINDOWS xdp NETNS LINK NETNS LINK
 *
 * The sender's end comes first. FRAMES is a file of frames of LENGTH bytes. One thread does both by turns: two on one core would measure the
 * scheduler, and the other core belongs to who forwards. Prints how many frames a second arrived, a line for each window. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "port.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct frames read_frames(const char *path, uint32_t length) {
  const int file = open(path, O_RDONLY);
  struct stat status;
  if (file < 0 || fstat(file, &status) < 0) fail(path);
  const uint8_t *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (bytes == MAP_FAILED) fail(path);
  close(file);
  return (struct frames){bytes, (uint32_t)status.st_size / length, length};
}

static uint64_t pass(const struct port *from, const struct port *to, double until, double *ended) {
  uint64_t arrived = 0;
  double at;
  do {
    for (int turn = 0; turn < 8; turn++) {
      from->send(from->state);
      arrived += to->receive(to->state);
    }
    at = now();
  } while (at < until);
  *ended = at;
  return arrived;
}

int main(int argc, char **argv) {
  if (argc != 12) return 2;
  const struct frames frames = read_frames(argv[1], (uint32_t)atoi(argv[2]));
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(atoi(argv[3]), &cores);
  if (sched_setaffinity(0, sizeof cores, &cores) < 0) fail("sched_setaffinity");
  const double warm = atof(argv[4]) / 1000, window = atof(argv[5]) / 1000;
  struct port from, to;
  if (strcmp(argv[7], "memif") == 0) {
    from = memif_port(argv[8], (uint32_t)strtoul(argv[9], NULL, 10), &frames);
    to = memif_port(argv[10], (uint32_t)strtoul(argv[11], NULL, 10), NULL);
  } else {
    to = xsk_receiver(argv[10], argv[11]);
    from = xsk_sender(argv[8], argv[9], &frames);
  }
  double start = now();
  pass(&from, &to, start + warm, &start);
  for (int left = atoi(argv[6]); left > 0; left--) {
    double end;
    const uint64_t arrived = pass(&from, &to, start + window, &end);
    printf("%.0f\n", (double)arrived / (end - start));
    start = end;
  }
  return 0;
}
