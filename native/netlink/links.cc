// Links: dump, veth, bridge, changes.
#include <linux/if_link.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/namespace.h"
#include "netlink/address.h"
#include "netlink/netns.h"

namespace pteropus {

namespace {

// A group of links that nobody else uses: links are put into it only to be deleted with it.
constexpr uint32_t DOOMED = 0x70746572;

uint32_t word(const uint8_t* data, size_t length) {
  uint32_t value = 0;
  memcpy(&value, data, length < sizeof value ? length : sizeof value);
  return value;
}

LinkInfo readLink(const nlmsghdr* message) {
  const auto* fixed = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
  LinkInfo link;
  link.index = static_cast<uint32_t>(fixed->ifi_index);
  link.up = (fixed->ifi_flags & IFF_UP) != 0;
  eachAttribute<ifinfomsg>(message, [&](uint16_t type, const uint8_t* data, size_t length) {
    const auto* text = reinterpret_cast<const char*>(data);
    if (type == IFLA_IFNAME) link.name.assign(text, strnlen(text, length));
    if (type == IFLA_ADDRESS && length == 6) link.mac = macText(data);
    if (type == IFLA_MTU) link.mtu = word(data, length);
    if (type == IFLA_LINK) link.peerIndex = word(data, length);
    if (type == IFLA_MASTER) link.master = word(data, length);
    if (type == IFLA_NUM_RX_QUEUES) link.rxQueues = word(data, length);
    if (type != IFLA_LINKINFO) return;
    eachAttribute(data, length, [&](uint16_t inner, const uint8_t* kind, size_t size) {
      const auto* name = reinterpret_cast<const char*>(kind);
      if (inner == IFLA_INFO_KIND) link.type.assign(name, strnlen(name, size));
    });
  });
  return link;
}

void checkName(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) fail("RTM_NEWLINK", EINVAL, name, "link names have 1 to 15 bytes");
}

// One queue as a rule: an AF_XDP socket serves one, and a second one would be traffic that nobody reads.
void appendEnd(Request& request, const VethEnd& end) {
  checkName(end.name);
  request.attribute(IFLA_IFNAME, end.name);
  if (end.mac) request.attribute(IFLA_ADDRESS, parseMac(*end.mac));
  if (end.mtu) request.attribute(IFLA_MTU, *end.mtu);
  request.attribute(IFLA_NUM_TX_QUEUES, end.queues.value_or(1));
  request.attribute(IFLA_NUM_RX_QUEUES, end.queues.value_or(1));
}

}  // namespace

Netns::Netns(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {
  runIn(fd_.get(), path_, [this] { socket_.emplace(path_); });
}

NetlinkSocket& Netns::socket() {
  if (!socket_) fail("netlink", EBADF, path_, "closed");
  return *socket_;
}

void Netns::close() {
  socket_.reset();
  fd_.close();
}

std::vector<LinkInfo> Netns::links() {
  std::vector<LinkInfo> links;
  Request request(RTM_GETLINK, 0, ifinfomsg{});
  socket().dump(request, "RTM_GETLINK", path_, [&](const nlmsghdr* m) {
    if (m->nlmsg_type == RTM_NEWLINK) links.push_back(readLink(m));
  });
  return links;
}

void Netns::createVeth(const VethEnd& near, const VethEnd& far, const Netns* farNetns) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  appendEnd(request, near);
  const size_t info = request.begin(IFLA_LINKINFO);
  request.attribute(IFLA_INFO_KIND, std::string("veth"));
  const size_t data = request.begin(IFLA_INFO_DATA);
  const size_t peer = request.begin(VETH_INFO_PEER);
  const ifinfomsg fixed{};
  request.append(&fixed, sizeof fixed);
  appendEnd(request, far);
  if (farNetns != nullptr) {
    if (farNetns->fd() < 0) fail("RTM_NEWLINK", EBADF, farNetns->path(), "closed");
    request.attribute(IFLA_NET_NS_FD, static_cast<uint32_t>(farNetns->fd()));
  }
  request.end(peer);
  request.end(data);
  request.end(info);
  socket().transact(request, "RTM_NEWLINK", named(near.name) + " and " + (farNetns ? farNetns->named(far.name) : far.name));
}

void Netns::createBridge(const std::string& name, std::optional<uint32_t> mtu) {
  checkName(name);
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  request.attribute(IFLA_IFNAME, name);
  if (mtu) request.attribute(IFLA_MTU, *mtu);
  const size_t info = request.begin(IFLA_LINKINFO);
  request.attribute(IFLA_INFO_KIND, std::string("bridge"));
  request.end(info);
  socket().transact(request, "RTM_NEWLINK", named(name));
}

void Netns::deleteLink(const std::string& name) {
  ifinfomsg fixed{};
  fixed.ifi_index = static_cast<int>(socket().linkIndex(name));
  Request request(RTM_DELLINK, 0, fixed);
  socket().transact(request, "RTM_DELLINK", named(name));
}

void Netns::deleteLinks(const std::vector<std::string>& names) {
  size_t found = 0;
  for (const std::string& name : names) {
    try {
      ifinfomsg fixed{};
      fixed.ifi_index = static_cast<int>(socket().linkIndex(name));
      Request request(RTM_NEWLINK, 0, fixed);
      request.attribute(IFLA_GROUP, DOOMED);
      socket().transact(request, "RTM_NEWLINK", named(name));
      found++;
    } catch (const SystemError& e) {
      if (e.error != ENODEV) throw;
    }
  }
  if (found == 0) return;
  Request request(RTM_DELLINK, 0, ifinfomsg{});
  request.attribute(IFLA_GROUP, DOOMED);
  socket().transact(request, "RTM_DELLINK", path_);
}

void Netns::setLink(const std::string& name, const LinkChange& change) {
  ifinfomsg fixed{};
  fixed.ifi_index = static_cast<int>(socket().linkIndex(name));
  if (change.up) {
    fixed.ifi_change = IFF_UP;
    fixed.ifi_flags = *change.up ? IFF_UP : 0;
  }
  Request request(RTM_NEWLINK, 0, fixed);
  if (change.mtu) request.attribute(IFLA_MTU, *change.mtu);
  if (change.mac) request.attribute(IFLA_ADDRESS, parseMac(*change.mac));
  if (change.master) request.attribute(IFLA_MASTER, change.master->empty() ? 0u : socket().linkIndex(*change.master));
  if (change.newName) {
    checkName(*change.newName);
    request.attribute(IFLA_IFNAME, *change.newName);
  }
  socket().transact(request, "RTM_NEWLINK", named(name));
}

}  // namespace pteropus
