// pteropus-pod: the process that lives in a simulated pod. It listens on the pod's ports and answers with the pod's name, and
// asks other pods when told to on standard input. It ends with its parent or when standard input closes.
//
//   pteropus-pod --name NS/NAME [--netns PATH] [--tcp PORT]... [--udp PORT]... [--sctp PORT]...
//
// Standard input, one command a line:
//   probe ID tcp|udp|icmp ADDRESS PORT TIMEOUT_MS    see probe.h
//   open ID tcp|udp ADDRESS PORT                     see stream.h
//   send ID COUNT INTERVAL_MS
//   close ID
//   close-all
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <vector>

#include "net.h"
#include "probe.h"
#include "server.h"
#include "stream.h"

namespace {

struct Port {
  int protocol;
  uint16_t number;
};

struct Options {
  std::string name;
  std::string netns;
  std::vector<Port> ports;
};

[[noreturn]] void die(const std::string& why) {
  fprintf(stderr, "pteropus-pod: %s\n", why.c_str());
  exit(1);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i++) {
    const std::string flag = argv[i];
    if (i + 1 == argc) die(flag + ": a value is needed");
    const char* value = argv[++i];
    const int protocol = flag == "--tcp" ? IPPROTO_TCP : flag == "--udp" ? IPPROTO_UDP : flag == "--sctp" ? IPPROTO_SCTP : 0;
    if (flag == "--name") options.name = value;
    else if (flag == "--netns") options.netns = value;
    else if (protocol == 0) die(flag + ": unknown");
    else {
      const long port = strtol(value, nullptr, 10);
      if (port < 1 || port > 65535) die(flag + ": a port is needed, not " + value);
      options.ports.push_back({protocol, static_cast<uint16_t>(port)});
    }
  }
  if (options.name.empty()) die("--name is needed");
  return options;
}

void enter(const std::string& netns) {
  const int fd = open(netns.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) die(netns + ": " + strerror(errno));
  close(fd);
}

// Ping sockets are for groups in this range only, and by default it is empty. Without the right to change it, probes say so.
void allowPing() {
  const int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  const char everyone[] = "0 2147483647";
  if (write(fd, everyone, sizeof everyone - 1) < 0) perror("pteropus-pod: ping_group_range");
  close(fd);
}

void raiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void command(pod::Loop& loop, pod::Streams& streams, const std::string& line) {
  std::istringstream words(line);
  std::string verb, id, protocol, address;
  unsigned port = 0;
  int64_t millis = 0;
  uint64_t count = 0;
  words >> verb >> id;
  if (verb == "probe" && words >> protocol >> address >> port >> millis)
    pod::probe(loop, id, protocol, address, static_cast<uint16_t>(port), millis);
  else if (verb == "open" && words >> protocol >> address >> port)
    streams.open(id, protocol, address, static_cast<uint16_t>(port));
  else if (verb == "send" && words >> count >> millis) streams.send(id, count, millis);
  else if (verb == "close") streams.close(id);
  else if (verb == "close-all") streams.closeAll();
  else if (!verb.empty()) pod::say("unknown " + line);
}

void readCommands(pod::Loop& loop, pod::Streams& streams) {
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
  loop.add(STDIN_FILENO, EPOLLIN, [&, pending = std::string()](uint32_t) mutable {
    char buffer[65536];
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return loop.stop();
    pending.append(buffer, static_cast<size_t>(got));
    size_t start = 0;
    for (size_t end; (end = pending.find('\n', start)) != std::string::npos; start = end + 1)
      command(loop, streams, pending.substr(start, end - start));
    pending.erase(0, start);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  raiseDescriptorLimit();
  if (!options.netns.empty()) {
    enter(options.netns);
    allowPing();
  }

  pod::Loop loop;
  pod::Streams streams(loop);
  for (const Port& port : options.ports) {
    const std::string why = port.protocol == IPPROTO_UDP ? pod::listenUdp(loop, options.name, port.number)
                                                         : pod::listenStream(loop, options.name, port.protocol, port.number);
    if (!why.empty()) die("port " + std::to_string(port.number) + ": " + why);
  }
  readCommands(loop, streams);
  pod::say("ready");
  loop.run();
  return 0;
}
