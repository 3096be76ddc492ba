/* What waking somebody costs on this machine, without any network: two processes that pass one byte to and fro over pipes, after a pause in
 * which both sleep.
 *
 *   tap-wake COUNT PAUSE_MICROSECONDS
 *
 * Prints two medians in microseconds of the way there and back: both on core 0, and one of them on core 1. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void run_on(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  if (sched_setaffinity(0, sizeof cores, &cores) != 0) {
    perror("sched_setaffinity");
    exit(1);
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(int core, int count, useconds_t pause) {
  int there[2], back[2];
  char byte = 'x';
  if (pipe(there) != 0 || pipe(back) != 0) exit(1);
  const pid_t other = fork();
  if (other == 0) {
    run_on(core);
    close(there[1]);
    while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1) continue;
    _exit(0);
  }
  double *times = malloc(sizeof *times * (size_t)count);
  for (int i = 0; i < count; i++) {
    usleep(pause);
    const double sent = now();
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) exit(1);
    times[i] = now() - sent;
  }
  close(there[1]);
  waitpid(other, NULL, 0);
  qsort(times, (size_t)count, sizeof *times, ascending);
  const double result = times[count / 2];
  free(times);
  return result;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const int count = atoi(argv[1]);
  const useconds_t pause = (useconds_t)atoi(argv[2]);
  if (count < 1) return 2;
  run_on(0);
  const double near = median(0, count, pause);
  printf("%.1f %.1f\n", near, median(1, count, pause));
  return 0;
}
