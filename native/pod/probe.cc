#include "probe.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "net.h"

namespace pod {

namespace {

constexpr int64_t RETRY_MILLIS = 200;
const std::string QUESTION = "probe\n";

class Probe : public std::enable_shared_from_this<Probe> {
 public:
  Probe(Loop& loop, std::string id, std::string protocol, std::string address)
      : loop_(loop), id_(std::move(id)), protocol_(std::move(protocol)), address_(std::move(address)), start_(now()) {}

  void begin(uint16_t port, int64_t timeoutMillis) {
    const auto to = endpoint(address_, port);
    if (!to) return finish("error", "not-an-address");
    const bool six = to->family() == AF_INET6;
    tcp_ = protocol_ == "tcp";
    if (tcp_) fd_ = open(to->family(), SOCK_STREAM, 0);
    else if (protocol_ == "udp") fd_ = open(to->family(), SOCK_DGRAM, 0);
    else if (protocol_ == "icmp") fd_ = open(to->family(), SOCK_DGRAM, six ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP});
    else return finish("error", "unknown-protocol");
    if (fd_ < 0) return finish("error", errorWord(errno));
    wantIcmpErrors(fd_, to->family());
    if (protocol_ == "icmp") question_ = echoRequest(six);
    const bool connected = connect(fd_, to->get(), to->size) == 0;
    const int error = errno;
    loop_.add(fd_, tcp_ ? EPOLLOUT : EPOLLIN, [self = shared_from_this()](uint32_t events) { self->ready(events); });
    watched_ = true;
    if (!connected && error != EINPROGRESS) return finish("error", errorWord(error));
    timeout_ = loop_.after(timeoutMillis, [self = shared_from_this()] { self->finish("timeout", ""); });
    if (!tcp_) ask();
  }

 private:
  static int open(int family, int type, int protocol) {
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  }

  // A ping socket fills in identifier and checksum.
  static std::string echoRequest(bool six) {
    icmphdr header{};
    header.type = six ? static_cast<uint8_t>(ICMP6_ECHO_REQUEST) : static_cast<uint8_t>(ICMP_ECHO);
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) + QUESTION;
  }

  void ask() {
    send(fd_, question_.data(), question_.size(), MSG_NOSIGNAL);
    if (!tcp_) retry_ = loop_.after(RETRY_MILLIS, [self = shared_from_this()] { self->ask(); });
  }

  void ready(uint32_t events) {
    if (done_) return;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0 || (events & EPOLLERR)) return failed(error);
    if (tcp_ && (events & EPOLLOUT)) {
      loop_.change(fd_, EPOLLIN);
      return ask();
    }
    char buffer[2048];
    const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got < 0) return failed(errno);
    if (protocol_ == "icmp") return finish("connected", address_);
    if (got == 0) return finish("error", "closed");
    answer_.append(buffer, static_cast<size_t>(got));
    const size_t blank = answer_.find(' ');
    // A stream may cut the answer anywhere; a datagram never.
    if (blank != std::string::npos || !tcp_) finish("connected", answer_.substr(0, blank));
  }

  void failed(int error) {
    const auto icmp = takeIcmpError(fd_);
    if (icmp) return finish(icmp->portUnreachable && icmp->offender == address_ ? "refused" : "rejected", icmp->offender);
    if (error == ECONNREFUSED) return finish("refused", "");
    if (error == ETIMEDOUT) return finish("timeout", "");
    if (error != 0) finish("error", errorWord(error));
  }

  void finish(const char* outcome, const std::string& text) {
    if (done_) return;
    done_ = true;
    loop_.cancel(timeout_);
    loop_.cancel(retry_);
    say("result " + id_ + " " + outcome + " " + std::to_string(now() - start_) + " " + (text.empty() ? "-" : text));
    if (watched_) loop_.remove(fd_);
    else if (fd_ >= 0) close(fd_);
  }

  Loop& loop_;
  std::string id_, protocol_, address_;
  int64_t start_;
  int fd_ = -1;
  bool tcp_ = false;
  bool watched_ = false;
  bool done_ = false;
  std::string question_ = QUESTION;
  std::string answer_;
  uint64_t timeout_ = 0;
  uint64_t retry_ = 0;
};

}  // namespace

void probe(Loop& loop, const std::string& id, const std::string& protocol, const std::string& address, uint16_t port,
           int64_t timeoutMillis) {
  std::make_shared<Probe>(loop, id, protocol, address)->begin(port, timeoutMillis);
}

}  // namespace pod
