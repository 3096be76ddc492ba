// Addresses, routes and neighbors of a namespace.
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <sys/socket.h>

#include "common/error.h"
#include "netlink/address.h"
#include "netlink/netns.h"

namespace pteropus {

namespace {

constexpr uint16_t REPLACE = NLM_F_CREATE | NLM_F_REPLACE;

Address destinationOf(const Route& route) {
  if (route.destination != "default") return parseAddress(route.destination);
  const bool six = route.gateway && route.gateway->find(':') != std::string::npos;
  return parseAddress(six ? "::/0" : "0.0.0.0/0");
}

}  // namespace

void Netns::changeAddress(bool add, const std::string& link, const std::string& cidr) {
  const Address address = parseAddress(cidr);
  ifaddrmsg fixed{};
  fixed.ifa_family = address.family;
  fixed.ifa_prefixlen = address.prefix;
  // Addresses are ours to give: an IPv6 one is usable at once, without duplicate address detection.
  fixed.ifa_flags = address.family == AF_INET6 ? IFA_F_NODAD : 0;
  fixed.ifa_index = socket().linkIndex(link);
  Request request(add ? RTM_NEWADDR : RTM_DELADDR, add ? REPLACE : 0, fixed);
  request.attribute(IFA_LOCAL, address.bytes);
  request.attribute(IFA_ADDRESS, address.bytes);
  socket().transact(request, add ? "RTM_NEWADDR" : "RTM_DELADDR", cidr + " on " + named(link));
}

std::vector<std::string> Netns::addresses(const std::string& link) {
  const uint32_t index = socket().linkIndex(link);
  std::vector<std::string> found;
  Request request(RTM_GETADDR, 0, ifaddrmsg{});
  socket().dump(request, "RTM_GETADDR", named(link), [&](const nlmsghdr* message) {
    const auto* fixed = static_cast<const ifaddrmsg*>(NLMSG_DATA(message));
    if (message->nlmsg_type != RTM_NEWADDR || fixed->ifa_index != index) return;
    const size_t size = fixed->ifa_family == AF_INET ? 4 : 16;
    std::string local, address;
    eachAttribute<ifaddrmsg>(message, [&](uint16_t type, const uint8_t* data, size_t length) {
      if (length < size) return;
      if (type == IFA_LOCAL) local = addressText(fixed->ifa_family, data);
      if (type == IFA_ADDRESS) address = addressText(fixed->ifa_family, data);
    });
    found.push_back((local.empty() ? address : local) + "/" + std::to_string(fixed->ifa_prefixlen));
  });
  return found;
}

void Netns::changeRoute(bool add, const Route& route) {
  const Address destination = destinationOf(route);
  rtmsg fixed{};
  fixed.rtm_family = destination.family;
  fixed.rtm_dst_len = destination.prefix;
  fixed.rtm_table = RT_TABLE_MAIN;
  if (add) {
    fixed.rtm_protocol = RTPROT_STATIC;
    fixed.rtm_type = RTN_UNICAST;
    fixed.rtm_scope = route.linkScope ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  } else {
    fixed.rtm_scope = RT_SCOPE_NOWHERE;  // any
  }
  Request request(add ? RTM_NEWROUTE : RTM_DELROUTE, add ? REPLACE : 0, fixed);
  request.attribute(RTA_DST, destination.bytes);
  request.attribute(RTA_OIF, socket().linkIndex(route.link));
  if (route.gateway) request.attribute(RTA_GATEWAY, parseAddress(*route.gateway).bytes);
  if (route.source && add) request.attribute(RTA_PREFSRC, parseAddress(*route.source).bytes);
  if (route.metric) request.attribute(RTA_PRIORITY, *route.metric);
  if (route.mtu && add) {
    const size_t metrics = request.begin(RTA_METRICS);
    request.attribute(RTAX_MTU, *route.mtu);
    request.end(metrics);
  }
  socket().transact(request, add ? "RTM_NEWROUTE" : "RTM_DELROUTE", route.destination + " over " + named(route.link));
}

void Netns::addNeighbor(const std::string& link, const std::string& text, const std::string& mac) {
  const Address address = parseAddress(text);
  ndmsg fixed{};
  fixed.ndm_family = address.family;
  fixed.ndm_ifindex = static_cast<int>(socket().linkIndex(link));
  fixed.ndm_state = NUD_PERMANENT;
  Request request(RTM_NEWNEIGH, REPLACE, fixed);
  request.attribute(NDA_DST, address.bytes);
  request.attribute(NDA_LLADDR, parseMac(mac));
  socket().transact(request, "RTM_NEWNEIGH", text + " on " + named(link));
}

}  // namespace pteropus
