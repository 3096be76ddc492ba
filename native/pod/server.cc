#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "net.h"

namespace pod {

namespace {

constexpr size_t CHUNK = 65536;
// A client that does not read gets no more than this kept for it.
constexpr size_t MOST_UNSENT = 1 << 20;
constexpr size_t MOST_HEAD = 65536;

struct Connection {
  enum class Kind { Unknown, Http, Echo };
  Kind kind = Kind::Unknown;
  std::string in;
  std::string out;
  bool closing = false;
};

// Binds to every address of both families; to IPv4 alone where the kernel has no IPv6.
int bindAny(int type, int protocol, uint16_t port, int& family) {
  const int on = 1, off = 0;
  family = AF_INET6;
  int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  if (fd < 0 && errno == EAFNOSUPPORT) {
    family = AF_INET;
    fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  }
  if (fd < 0) return -1;
  sockaddr_in6 six{};
  sockaddr_in four{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const auto* address = family == AF_INET6 ? reinterpret_cast<sockaddr*>(&six) : reinterpret_cast<sockaddr*>(&four);
  if (bind(fd, address, family == AF_INET6 ? sizeof six : sizeof four) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

bool looksLikeHttp(const std::string& bytes) {
  for (const char* method : {"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "PATCH ", "OPTIONS "}) {
    if (bytes.compare(0, strlen(method), method) == 0) return true;
  }
  return false;
}

// The value of a header in lower case, or ''.
std::string header(const std::string& head, const char* name) {
  std::string lower = head;
  for (char& c : lower) c = static_cast<char>(tolower(c));
  const size_t at = lower.find(std::string("\r\n") + name + ":");
  if (at == std::string::npos) return "";
  const size_t start = lower.find_first_not_of(' ', at + strlen(name) + 3);
  return lower.substr(start, lower.find("\r\n", start) - start);
}

// Answers every whole request in `in` (RFC 9112: head, then Content-Length bytes).
void answerHttp(Connection& c, const std::string& name) {
  for (;;) {
    const size_t end = c.in.find("\r\n\r\n");
    if (end == std::string::npos) {
      c.closing |= c.in.size() > MOST_HEAD;
      return;
    }
    const std::string head = c.in.substr(0, end + 2);
    const size_t body = strtoul(header(head, "content-length").c_str(), nullptr, 10);
    if (body > MOST_UNSENT) {
      c.closing = true;
      return;
    }
    if (c.in.size() < end + 4 + body) return;
    c.in.erase(0, end + 4 + body);
    const bool last = header(head, "connection") == "close" || head.find(" HTTP/1.0\r\n") != std::string::npos;
    const std::string text = name + "\n";
    c.out += "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(text.size()) +
             (last ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n");
    if (head.compare(0, 5, "HEAD ") != 0) c.out += text;
    c.closing |= last;
  }
}

void answer(Connection& c, const std::string& name, const char* bytes, size_t length) {
  if (c.kind == Connection::Kind::Unknown)
    c.kind = looksLikeHttp(std::string(bytes, length)) ? Connection::Kind::Http : Connection::Kind::Echo;
  if (c.kind == Connection::Kind::Echo) {
    c.out += name;
    c.out += ' ';
    c.out.append(bytes, length);
    return;
  }
  c.in.append(bytes, length);
  answerHttp(c, name);
}

// Sends what is there; false if the connection is over.
bool flush(int fd, Connection& c) {
  while (!c.out.empty()) {
    const ssize_t sent = send(fd, c.out.data(), c.out.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    c.out.erase(0, static_cast<size_t>(sent));
  }
  return !c.closing;
}

void serve(Loop& loop, int fd, Connection& c, const std::string& name, uint32_t events) {
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    char buffer[CHUNK];
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return loop.remove(fd);
    if (got > 0) answer(c, name, buffer, static_cast<size_t>(got));
  }
  if (!flush(fd, c)) return loop.remove(fd);
  const uint32_t read = c.out.size() < MOST_UNSENT ? static_cast<uint32_t>(EPOLLIN) : 0u;
  loop.change(fd, read | (c.out.empty() ? 0u : static_cast<uint32_t>(EPOLLOUT)));
}

// Answers from the address that was asked: keeps the packet's info, and lets routing choose the link.
void echoDatagram(int fd, const std::string& name) {
  char buffer[CHUNK], control[128];
  sockaddr_storage from{};
  iovec parts[3] = {{buffer, sizeof buffer}, {}, {}};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = parts;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = recvmsg(fd, &message, 0);
  if (got < 0) return;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_PKTINFO)
      reinterpret_cast<in6_pktinfo*>(CMSG_DATA(c))->ipi6_ifindex = 0;
    if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO) reinterpret_cast<in_pktinfo*>(CMSG_DATA(c))->ipi_ifindex = 0;
  }
  std::string prefix = name + " ";
  parts[0] = {prefix.data(), prefix.size()};
  parts[1] = {buffer, static_cast<size_t>(got)};
  message.msg_iovlen = 2;
  message.msg_flags = 0;
  sendmsg(fd, &message, MSG_NOSIGNAL);
}

}  // namespace

std::string listenStream(Loop& loop, const std::string& name, int protocol, uint16_t port) {
  int family;
  const int fd = bindAny(SOCK_STREAM, protocol, port, family);
  if (fd < 0 && protocol == IPPROTO_SCTP && (errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT)) return "";
  if (fd < 0 || listen(fd, 4096) < 0) return errorWord(errno);
  loop.add(fd, EPOLLIN, [&loop, fd, name](uint32_t) {
    for (;;) {
      const int peer = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (peer < 0) return;
      auto connection = std::make_shared<Connection>();
      loop.add(peer, EPOLLIN,
               [&loop, peer, connection, name](uint32_t events) { serve(loop, peer, *connection, name, events); });
    }
  });
  return "";
}

std::string listenUdp(Loop& loop, const std::string& name, uint16_t port) {
  int family;
  const int fd = bindAny(SOCK_DGRAM, IPPROTO_UDP, port, family);
  if (fd < 0) return errorWord(errno);
  const int on = 1;
  if (family == AF_INET6) setsockopt(fd, SOL_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  else setsockopt(fd, SOL_IP, IP_PKTINFO, &on, sizeof on);
  loop.add(fd, EPOLLIN, [fd, name](uint32_t) { echoDatagram(fd, name); });
  return "";
}

}  // namespace pod
