/* One end of a request/response test over TCP: one byte there, one byte back, one at a time, by blocking calls (netperf's TCP_RR).
 *
 *   tap-rr server CORE | tap-rr client CORE ADDRESS COUNT PAUSE_MICROSECONDS
 *
 * CORE is the one that it is bound to, -1 none. The client prints the round trips, as JSON: each its microseconds, and 1 if both ends were on one
 * core, else 0; the byte that comes back says on which the server was. Each end is in a scheduler group of its own, as the processes of a
 * container are (sched(7), autogroups), which comes before others' work. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 5556, WARM = 200 };

static int checked(int result, const char *what) {
  if (result >= 0) return result;
  perror(what);
  exit(1);
}

static void bind_to(int core) {
  if (core < 0) return;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  checked(sched_setaffinity(0, sizeof cores, &cores), "sched_setaffinity");
}

/* Without groups, or the right to come first, it stays as it is. */
static void own_group(void) {
  if (setsid() < 0) return;
  const int file = open("/proc/self/autogroup", O_WRONLY);
  if (file < 0) return;
  if (write(file, "-20", 3) < 0) perror("/proc/self/autogroup");
  close(file);
}

static void at_once(int socket) {
  const int on = 1;
  checked(setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int serve(struct sockaddr_in at) {
  const int on = 1, listening = checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
  checked(setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  checked(bind(listening, (struct sockaddr *)&at, sizeof at), "bind");
  checked(listen(listening, 1), "listen");
  puts("listening");
  fflush(stdout);
  const int client = checked(accept(listening, NULL, NULL), "accept");
  at_once(client);
  for (char byte; recv(client, &byte, 1, 0) == 1;) {
    byte = (char)sched_getcpu();
    if (send(client, &byte, 1, MSG_NOSIGNAL) != 1) break;
  }
  return 0;
}

static int ask(struct sockaddr_in at, int count, long pause) {
  const struct timespec sleep = {pause / 1000000, pause % 1000000 * 1000};
  const int server = checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
  checked(connect(server, (struct sockaddr *)&at, sizeof at), "connect");
  at_once(server);
  double *times = malloc(sizeof *times * (size_t)count);
  char *together = malloc((size_t)count);
  if (times == NULL || together == NULL) return 1;
  char byte = 'x';
  for (int i = -WARM; i < count; i++) {
    if (pause > 0 && i >= 0) clock_nanosleep(CLOCK_MONOTONIC, 0, &sleep, NULL);
    const char core = (char)sched_getcpu();
    const double sent = now();
    if (send(server, &byte, 1, 0) != 1 || recv(server, &byte, 1, 0) != 1) return 1;
    if (i < 0) continue;
    times[i] = now() - sent;
    together[i] = byte == core;
  }
  for (int i = 0; i < count; i++) printf("%c[%.2f,%d]", i == 0 ? '[' : ',', times[i], together[i]);
  puts("]");
  free(together);
  free(times);
  return 0;
}

int main(int argc, char **argv) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  own_group();
  if (argc >= 3) bind_to(atoi(argv[2]));
  if (argc == 3 && strcmp(argv[1], "server") == 0) return serve(at);
  if (argc != 6 || strcmp(argv[1], "client") != 0 || inet_pton(AF_INET, argv[3], &at.sin_addr) != 1) return 2;
  return ask(at, atoi(argv[4]), atol(argv[5]));
}
