#include "connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "../common/fd.h"
#include "unary.h"

namespace pteropus::cni {

namespace {

using Clock = std::chrono::steady_clock;

class Deadline {
 public:
  explicit Deadline(int ms) : ms_(ms), end_(Clock::now() + std::chrono::milliseconds(ms)) {}

  // Milliseconds left, at least one. Throws CallError if there are none.
  int left() const {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now()).count();
    if (left <= 0) throw CallError("the agent did not answer within " + std::to_string(ms_) + " ms");
    return static_cast<int>(left);
  }

 private:
  int ms_;
  Clock::time_point end_;
};

[[noreturn]] void lost(const std::string& path, int error) {
  throw CallError("the agent is lost at " + path + ": " + strerror(error));
}

[[noreturn]] void unreachable(const std::string& path, int error) {
  const std::string what = "the agent cannot be reached at " + path + ": " + strerror(error);
  if (error == ENOENT || error == ECONNREFUSED) throw NobodyListens(what);
  throw Unreachable(what);
}

constexpr int kBusyPauseMs = 5;

Fd connectTo(const std::string& path, const Deadline& deadline) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.open()) unreachable(path, errno);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  while (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    // A unix socket whose queue is full says EAGAIN and nothing tells when there is room.
    if (errno == EAGAIN) poll(nullptr, 0, std::min(deadline.left(), kBusyPauseMs));
    else if (errno != EINTR) unreachable(path, errno);
  }
  return fd;
}

}  // namespace

std::string callUnary(const std::string& path, std::string_view method, std::string_view message, int timeoutMs) {
  const Deadline deadline(timeoutMs);
  const Fd fd = connectTo(path, deadline);
  UnaryCall call(method, message, timeoutMs);
  char buffer[65536];
  while (!call.done()) {
    pollfd wait{fd.get(), static_cast<short>(POLLIN | (call.output().empty() ? 0 : POLLOUT)), 0};
    const int ready = poll(&wait, 1, deadline.left());
    if (ready < 0 && errno != EINTR) lost(path, errno);
    if (ready <= 0) continue;
    if (wait.revents & POLLOUT) {
      const ssize_t sent = send(fd.get(), call.output().data(), call.output().size(), MSG_NOSIGNAL);
      if (sent > 0) call.sent(static_cast<size_t>(sent));
      // The other side is gone; what it said before is still to be read.
      else if (sent < 0 && errno != EAGAIN && errno != EINTR && errno != EPIPE) lost(path, errno);
    }
    if (wait.revents & (POLLIN | POLLHUP | POLLERR)) {
      const ssize_t got = recv(fd.get(), buffer, sizeof buffer, 0);
      if (got > 0) call.receive({buffer, static_cast<size_t>(got)});
      else if (got == 0) throw CallError("the agent ended before its answer");
      else if (errno != EAGAIN && errno != EINTR) lost(path, errno);
    }
  }
  return call.reply();
}

}  // namespace pteropus::cni
