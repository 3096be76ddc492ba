#include "tap/device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cstring>

#include "common/error.h"

namespace pteropus {

namespace {

// Since kernel 6.2.
constexpr unsigned USO4 = 0x20, USO6 = 0x40;
constexpr unsigned OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

Fd openDevice(const std::string& name, const std::string& object, bool multiQueue = false) {
  if (name.empty() || name.size() >= IFNAMSIZ) fail("TUNSETIFF", EINVAL, object, "link names have 1 to 15 bytes");
  Fd fd(check(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "open", "/dev/net/tun"));
  ifreq request{};
  memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multiQueue ? IFF_MULTI_QUEUE : 0);
  check(ioctl(fd.get(), TUNSETIFF, &request), "TUNSETIFF", object);
  return fd;
}

}  // namespace

void createTap(const std::string& name, const std::string& object, bool multiQueue) {
  if (if_nametoindex(name.c_str()) != 0) fail("TUNSETIFF", EEXIST, object);
  const Fd fd = openDevice(name, object, multiQueue);
  check(ioctl(fd.get(), TUNSETPERSIST, 1), "TUNSETPERSIST", object);
}

Fd attachTap(const std::string& name, const std::string& object, bool multiQueue) {
  // TUNSETIFF would make a new device, which would vanish with us.
  if (if_nametoindex(name.c_str()) == 0) fail("TUNSETIFF", ENODEV, object);
  Fd fd = openDevice(name, object, multiQueue);
  // The kernel knows UDP segments of both families together only.
  if (ioctl(fd.get(), TUNSETOFFLOAD, OFFLOADS | USO4 | USO6) < 0) check(ioctl(fd.get(), TUNSETOFFLOAD, OFFLOADS), "TUNSETOFFLOAD", object);
  return fd;
}

}  // namespace pteropus
