#include "stream.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "net.h"

namespace pod {

namespace {

constexpr int64_t OPEN_MILLIS = 10000;
constexpr int64_t LAST_ANSWER_MILLIS = 1000;
constexpr int64_t PROGRESS_MILLIS = 100;

uint16_t localPort(int fd) {
  Endpoint local;
  local.size = sizeof local.storage;
  getsockname(fd, reinterpret_cast<sockaddr*>(&local.storage), &local.size);
  // Both families keep the port in the same place.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&local.storage)->sin_port);
}

}  // namespace

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(Loop& loop, std::string id) : loop_(loop), id_(std::move(id)) {}

  void open(const std::string& protocol, const std::string& address, uint16_t port) {
    const auto to = endpoint(address, port);
    if (!to) return fail("not-an-address");
    const int type = protocol == "udp" ? SOCK_DGRAM : SOCK_STREAM;
    fd_ = socket(to->family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return fail(errorWord(errno));
    const bool connected = connect(fd_, to->get(), to->size) == 0;
    const int error = errno;
    loop_.add(fd_, EPOLLOUT, [self = shared_from_this()](uint32_t events) { self->ready(events); });
    if (!connected && error != EINPROGRESS) return fail(errorWord(error));
    timer_ = loop_.after(OPEN_MILLIS, [self = shared_from_this()] { self->fail("timeout"); });
  }

  void send(uint64_t count, int64_t intervalMillis) {
    if (!opened_ || fd_ < 0) return say("failed " + id_ + " not-open");
    // Numbers go on; the counts are those of this run.
    sent_ = answered_ = reported_ = 0;
    wanted_ = count;
    interval_ = std::max<int64_t>(1, intervalMillis);
    sending_ = true;
    next_ = now();
    deadline_ = next_ + static_cast<int64_t>(count) * interval_ + LAST_ANSWER_MILLIS;
    tick();
    report();
  }

  void close() {
    loop_.cancel(timer_);
    loop_.cancel(reporter_);
    if (fd_ >= 0) loop_.remove(fd_);
    fd_ = -1;
  }

 private:
  void ready(uint32_t) {
    if (fd_ < 0) return;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return broken(error);
    if (!opened_) {
      opened_ = true;
      loop_.cancel(timer_);
      loop_.change(fd_, EPOLLIN);
      return say("opened " + id_ + " " + std::to_string(localPort(fd_)));
    }
    char buffer[65536];
    const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return broken(got == 0 ? ECONNRESET : errno);
    answered_ += static_cast<uint64_t>(std::count(buffer, buffer + got, '\n'));
    if (sending_ && sent_ == wanted_ && answered_ >= wanted_) finish();
  }

  // Sends every line that is due. One that the socket does not take is taken up at the next turn.
  void tick() {
    while (sent_ < wanted_ && next_ <= now()) {
      const std::string line = id_ + " " + std::to_string(number_) + "\n";
      if (::send(fd_, line.data(), line.size(), MSG_NOSIGNAL) < 0) {
        if (errno != EAGAIN && errno != ECONNREFUSED && errno != EPERM) return broken(errno);
        break;
      }
      sent_++;
      number_++;
      next_ += interval_;
    }
    // A peer that no longer takes anything fills the socket: then not all can be sent.
    if (now() >= deadline_) return finish();
    const bool last = sent_ == wanted_;
    timer_ = loop_.after(last ? LAST_ANSWER_MILLIS : std::max<int64_t>(1, next_ - now()),
                         [self = shared_from_this(), last] { last ? self->finish() : self->tick(); });
  }

  void report() {
    if (reported_ != sent_ + answered_) say("progress" + counts());
    reported_ = sent_ + answered_;
    reporter_ = loop_.after(PROGRESS_MILLIS, [self = shared_from_this()] { self->report(); });
  }

  std::string counts() const { return " " + id_ + " " + std::to_string(sent_) + " " + std::to_string(answered_); }

  void finish() {
    if (!sending_) return;
    sending_ = false;
    loop_.cancel(timer_);
    loop_.cancel(reporter_);
    say("done" + counts());
  }

  // An ICMP error for a datagram says nothing about the next one; a stream is over.
  void broken(int error) {
    int type = 0;
    socklen_t size = sizeof type;
    getsockopt(fd_, SOL_SOCKET, SO_TYPE, &type, &size);
    if (type == SOCK_DGRAM && opened_) return;
    if (!sending_) return fail(errorWord(error));
    finish();
    close();
  }

  void fail(const std::string& why) {
    say("failed " + id_ + " " + why);
    close();
  }

  Loop& loop_;
  std::string id_;
  int fd_ = -1;
  bool opened_ = false;
  bool sending_ = false;
  uint64_t number_ = 1, wanted_ = 0, sent_ = 0, answered_ = 0, reported_ = 0;
  int64_t interval_ = 1, next_ = 0, deadline_ = 0;
  uint64_t timer_ = 0, reporter_ = 0;
};

void Streams::open(const std::string& id, const std::string& protocol, const std::string& address, uint16_t port) {
  close(id);
  const auto stream = std::make_shared<Stream>(loop_, id);
  streams_[id] = stream;
  stream->open(protocol, address, port);
}

void Streams::send(const std::string& id, uint64_t count, int64_t intervalMillis) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return say("failed " + id + " not-open");
  found->second->send(count, intervalMillis);
}

void Streams::close(const std::string& id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  found->second->close();
  streams_.erase(found);
}

void Streams::closeAll() {
  for (const auto& [id, stream] : streams_) stream->close();
  streams_.clear();
}

}  // namespace pod
