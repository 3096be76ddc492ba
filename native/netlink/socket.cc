#include "netlink/socket.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/error.h"

namespace pteropus {

namespace {

// The kernel's words of an extended ack (NLMSGERR_ATTR_MSG), or ''.
std::string extendedAck(const nlmsghdr* message) {
  std::string text;
  if (!(message->nlmsg_flags & NLM_F_ACK_TLVS)) return text;
  const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(message));
  size_t skip = NLMSG_HDRLEN + sizeof(nlmsgerr);
  if (!(message->nlmsg_flags & NLM_F_CAPPED)) skip += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(nlmsghdr);
  if (skip >= message->nlmsg_len) return text;
  eachAttribute(reinterpret_cast<const uint8_t*>(message) + skip, message->nlmsg_len - skip,
                [&](uint16_t type, const uint8_t* data, size_t length) {
                  if (type == NLMSGERR_ATTR_MSG) text.assign(reinterpret_cast<const char*>(data), strnlen(reinterpret_cast<const char*>(data), length));
                });
  return text;
}

}  // namespace

NetlinkSocket::NetlinkSocket(const std::string& object)
    : fd_(check(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "socket", object)), buffer_(65536) {
  const int on = 1;
  // Only makes errors readable: a kernel without it is fine.
  setsockopt(fd_.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
}

void NetlinkSocket::send(Request& request, const char* syscall, const std::string& object) {
  if (!fd_.open()) fail(syscall, EBADF, object, "closed");
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const auto& bytes = request.finish(++sequence_);
  const auto* to = reinterpret_cast<const sockaddr*>(&kernel);
  check(sendto(fd_.get(), bytes.data(), bytes.size(), 0, to, sizeof kernel), syscall, object);
}

void NetlinkSocket::receive(const char* syscall, const std::string& object,
                            const std::function<bool(const nlmsghdr*)>& visit) {
  for (;;) {
    const ssize_t got = recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    check(got, syscall, object);
    auto left = static_cast<size_t>(got);
    for (auto* m = reinterpret_cast<const nlmsghdr*>(buffer_.data()); NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
      // Answers to an earlier request that failed half way.
      if (m->nlmsg_seq != sequence_) continue;
      if (visit(m)) return;
    }
  }
}

void NetlinkSocket::transact(Request& request, const char* syscall, const std::string& object) {
  request.header()->nlmsg_flags |= NLM_F_ACK;
  send(request, syscall, object);
  receive(syscall, object, [&](const nlmsghdr* message) {
    if (message->nlmsg_type != NLMSG_ERROR) return false;
    const auto* answer = static_cast<const nlmsgerr*>(NLMSG_DATA(message));
    if (answer->error != 0) fail(syscall, -answer->error, object, extendedAck(message));
    return true;
  });
}

void NetlinkSocket::dump(Request& request, const char* syscall, const std::string& object,
                         const std::function<void(const nlmsghdr*)>& visit) {
  request.header()->nlmsg_flags |= NLM_F_DUMP;
  for (bool disturbed = true; disturbed;) {
    disturbed = false;
    std::vector<std::vector<uint8_t>> messages;
    send(request, syscall, object);
    receive(syscall, object, [&](const nlmsghdr* message) {
      if (message->nlmsg_flags & NLM_F_DUMP_INTR) disturbed = true;
      if (message->nlmsg_type == NLMSG_DONE) return true;
      if (message->nlmsg_type == NLMSG_ERROR) fail(syscall, -static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error, object);
      const auto* bytes = reinterpret_cast<const uint8_t*>(message);
      messages.emplace_back(bytes, bytes + message->nlmsg_len);
      return false;
    });
    if (disturbed) continue;
    for (const auto& message : messages) visit(reinterpret_cast<const nlmsghdr*>(message.data()));
  }
}

uint32_t NetlinkSocket::linkIndex(const std::string& name) const {
  ifreq request{};
  if (!fd_.open()) fail("SIOCGIFINDEX", EBADF, name, "closed");
  if (name.empty() || name.size() >= IFNAMSIZ) fail("SIOCGIFINDEX", ENODEV, name, "link names have 1 to 15 bytes");
  memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  check(ioctl(fd_.get(), SIOCGIFINDEX, &request), "SIOCGIFINDEX", name);
  return static_cast<uint32_t>(request.ifr_ifindex);
}

}  // namespace pteropus
