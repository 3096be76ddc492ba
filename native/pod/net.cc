#include "net.h"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <unistd.h>

#include <cstring>

namespace pod {

std::optional<Endpoint> endpoint(const std::string& address, uint16_t port) {
  Endpoint result;
  auto* four = reinterpret_cast<sockaddr_in*>(&result.storage);
  auto* six = reinterpret_cast<sockaddr_in6*>(&result.storage);
  if (inet_pton(AF_INET, address.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    result.size = sizeof *four;
    return result;
  }
  if (inet_pton(AF_INET6, address.c_str(), &six->sin6_addr) != 1) return std::nullopt;
  six->sin6_family = AF_INET6;
  six->sin6_port = htons(port);
  result.size = sizeof *six;
  return result;
}

std::string addressText(const Endpoint& endpoint) {
  char text[INET6_ADDRSTRLEN] = "";
  const void* bytes = endpoint.family() == AF_INET
                          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(&endpoint.storage)->sin_addr)
                          : static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(&endpoint.storage)->sin6_addr);
  inet_ntop(endpoint.family(), bytes, text, sizeof text);
  return text;
}

void wantIcmpErrors(int fd, int family) {
  const int on = 1;
  if (family == AF_INET) setsockopt(fd, SOL_IP, IP_RECVERR, &on, sizeof on);
  else setsockopt(fd, SOL_IPV6, IPV6_RECVERR, &on, sizeof on);
}

std::optional<IcmpError> takeIcmpError(int fd) {
  std::optional<IcmpError> found;
  for (;;) {
    char control[512], data[64];
    iovec part{data, sizeof data};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return found;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      const bool four = c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR;
      const bool six = c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR;
      if (!four && !six) continue;
      auto* error = reinterpret_cast<sock_extended_err*>(CMSG_DATA(c));
      if (error->ee_origin != SO_EE_ORIGIN_ICMP && error->ee_origin != SO_EE_ORIGIN_ICMP6) continue;
      Endpoint offender;
      offender.size = four ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
      memcpy(&offender.storage, SO_EE_OFFENDER(error), offender.size);
      found = IcmpError{addressText(offender),
                        four ? error->ee_type == ICMP_DEST_UNREACH && error->ee_code == ICMP_PORT_UNREACH
                             : error->ee_type == ICMP6_DST_UNREACH && error->ee_code == ICMP6_DST_UNREACH_NOPORT};
    }
  }
}

void say(const std::string& line) {
  const std::string text = line + "\n";
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (wrote <= 0 && errno != EINTR) return;
    if (wrote > 0) done += static_cast<size_t>(wrote);
  }
}

std::string errorWord(int error) {
  std::string text = strerror(error);
  for (char& c : text) {
    if (c == ' ') c = '-';
  }
  return text;
}

}  // namespace pod
