// Apart from engine.h, because linux/ethtool.h defines a macro PORT_NONE.
#include "afxdp/device.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "common/error.h"
#include "common/fd.h"

namespace pteropus {

Device findDevice(const std::string& link, const std::string& object) {
  const Fd fd(check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", object));
  ifreq request{};
  if (link.empty() || link.size() >= IFNAMSIZ) fail("SIOCGIFINDEX", ENODEV, object, "link names have 1 to 15 bytes");
  memcpy(request.ifr_name, link.c_str(), link.size() + 1);
  check(ioctl(fd.get(), SIOCGIFINDEX, &request), "SIOCGIFINDEX", object);
  const auto index = static_cast<uint32_t>(request.ifr_ifindex);
  struct stat netns {};
  check(stat("/proc/thread-self/ns/net", &netns), "stat", "/proc/thread-self/ns/net");
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  request.ifr_data = reinterpret_cast<char*>(&driver);
  const bool veth = ioctl(fd.get(), SIOCETHTOOL, &request) == 0 && strcmp(driver.driver, "veth") == 0;
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  request.ifr_data = reinterpret_cast<char*>(&channels);
  // A device without this question has one queue.
  if (ioctl(fd.get(), SIOCETHTOOL, &request) < 0) return {index, netns.st_ino, 1, veth};
  return {index, netns.st_ino, std::max(1u, channels.combined_count + channels.rx_count), veth};
}

}  // namespace pteropus
