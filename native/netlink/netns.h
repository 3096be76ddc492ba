// A namespace with a netlink socket inside it, and everything that can be done to its links, addresses and routes.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/fd.h"
#include "netlink/socket.h"

namespace pteropus {

struct LinkInfo {
  std::string name;
  uint32_t index = 0;
  std::string type;
  std::string mac;
  uint32_t mtu = 0;
  bool up = false;
  uint32_t peerIndex = 0;
  uint32_t master = 0;
  uint32_t rxQueues = 0;
};

struct VethEnd {
  std::string name;
  std::optional<std::string> mac;
  std::optional<uint32_t> mtu;
  std::optional<uint32_t> queues;
};

struct LinkChange {
  std::optional<bool> up;
  std::optional<uint32_t> mtu;
  std::optional<std::string> mac;
  // '' takes it out of its bridge.
  std::optional<std::string> master;
  std::optional<std::string> newName;
};

struct Route {
  std::string destination;
  std::string link;
  std::optional<std::string> gateway;
  std::optional<std::string> source;
  bool linkScope = false;
  std::optional<uint32_t> mtu;
  /** Priority of the route, the lowest first. */
  std::optional<uint32_t> metric;
};

struct Offloads {
  std::optional<bool> txChecksum, tso, gso, gro, rxVlan;
};

class Netns {
 public:
  Netns(std::string path, Fd fd);

  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }

  std::vector<LinkInfo> links();
  void createVeth(const VethEnd& near, const VethEnd& far, const Netns* farNetns);
  void createBridge(const std::string& name, std::optional<uint32_t> mtu);
  void deleteLink(const std::string& name);
  // All in one go, for which the kernel waits once; absent ones are fine.
  void deleteLinks(const std::vector<std::string>& names);
  void setLink(const std::string& name, const LinkChange& change);

  void changeAddress(bool add, const std::string& link, const std::string& cidr);
  std::vector<std::string> addresses(const std::string& link);
  void changeRoute(bool add, const Route& route);
  void addNeighbor(const std::string& link, const std::string& address, const std::string& mac);

  // The kernel's own stack takes nothing more that comes in by the link; packet sockets go on seeing it.
  void deafen(const std::string& link);

  void setOffloads(const std::string& link, const Offloads& offloads);
  void setSysctl(const std::string& name, const std::string& value);

  void close();

 private:
  std::string path_;
  Fd fd_;
  std::optional<NetlinkSocket> socket_;

  NetlinkSocket& socket();
  void deafenByFilter(uint32_t index, const std::string& link);
  std::string named(const std::string& link) const { return link + " in " + path_; }
};

}  // namespace pteropus
