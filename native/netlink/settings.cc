// Offloads (ethtool) and sysctls of a namespace.
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "common/error.h"
#include "common/namespace.h"
#include "netlink/netns.h"

namespace pteropus {

namespace {

// Whether the device has the command (EOPNOTSUPP: it lacks the feature). Acts in the socket's namespace.
bool ethtool(int socket, const std::string& link, const std::string& object, ethtool_value& argument) {
  ifreq request{};
  memcpy(request.ifr_name, link.c_str(), link.size() + 1);
  request.ifr_data = reinterpret_cast<char*>(&argument);
  if (ioctl(socket, SIOCETHTOOL, &request) == 0) return true;
  if (errno != EOPNOTSUPP) fail("SIOCETHTOOL", errno, object);
  return false;
}

}  // namespace

void Netns::setOffloads(const std::string& link, const Offloads& offloads) {
  socket().linkIndex(link);  // a name that fits, and ENODEV before anything is changed
  // TSO needs checksum offload: switching on goes in this order, and switching checksums off takes TSO along by itself.
  const std::pair<uint32_t, const std::optional<bool>&> wanted[] = {
      {ETHTOOL_STXCSUM, offloads.txChecksum},
      {ETHTOOL_STSO, offloads.tso},
      {ETHTOOL_SGSO, offloads.gso},
      {ETHTOOL_SGRO, offloads.gro},
  };
  for (const auto& [command, value] : wanted) {
    if (!value) continue;
    ethtool_value argument{command, *value ? 1u : 0u};
    ethtool(socket().fd(), link, named(link), argument);
  }
  ethtool_value flags{ETHTOOL_GFLAGS, 0};
  if (!offloads.rxVlan || !ethtool(socket().fd(), link, named(link), flags)) return;
  const uint32_t kept = flags.data & ~static_cast<uint32_t>(ETH_FLAG_RXVLAN);
  ethtool_value changed{ETHTOOL_SFLAGS, *offloads.rxVlan ? kept | ETH_FLAG_RXVLAN : kept};
  if (changed.data != flags.data) ethtool(socket().fd(), link, named(link), changed);
}

void Netns::setSysctl(const std::string& name, const std::string& value) {
  const std::string path = "/proc/sys/" + name;
  socket();  // refuses a closed namespace: runIn would take -1 for our own
  if (name.find("..") != std::string::npos) fail("open", EINVAL, path);
  // /proc/sys/net shows the namespace of the thread that opens it.
  runIn(fd_.get(), path_, [&] {
    const Fd file(check(open(path.c_str(), O_WRONLY | O_CLOEXEC), "open", path));
    check(write(file.get(), value.data(), value.size()), "write", path);
  });
}

}  // namespace pteropus
