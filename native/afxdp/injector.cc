#include "afxdp/injector.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "common/error.h"
#include "netlink/socket.h"

namespace pteropus {

namespace {

// The kernel puts the first number in that is free. No pod's link is named so (control/agent/links.ts).
constexpr char NAME[] = "ptsend%d";
// A packet begins a cache line.
constexpr uint32_t LINE = 64;
// What stands in a slot before the program has run.
constexpr int32_t NOT_SENT = -1;

// What is written to run the program. No protocol that the kernel would look into (IEEE local experimental).
constexpr uint8_t TRIGGER[64] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0xb5};

// Neither packet information nor a virtio-net header: bytes of a frame alone.
Fd openTap(std::string& name, const std::string& object) {
  Fd fd(check(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "open", "/dev/net/tun"));
  ifreq request{};
  memcpy(request.ifr_name, NAME, sizeof NAME);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  check(ioctl(fd.get(), TUNSETIFF, &request), "TUNSETIFF", object);
  name = request.ifr_name;
  // What the host's stack sends is dropped before it is queued.
  sock_filter none{BPF_RET | BPF_K, 0, 0, 0};
  sock_fprog filter{1, &none};
  check(ioctl(fd.get(), TUNATTACHFILTER, &filter), "TUNATTACHFILTER", object);
  return fd;
}

// Without an address of its own, of IPv6 neither, and without ARP.
void bringUp(NetlinkSocket& netlink, uint32_t index, const std::string& object) {
  ifinfomsg fixed{};
  fixed.ifi_index = static_cast<int>(index);
  Request quiet(RTM_NEWLINK, 0, fixed);
  const size_t families = quiet.begin(IFLA_AF_SPEC);
  const size_t family = quiet.begin(AF_INET6);
  const uint8_t none = IN6_ADDR_GEN_MODE_NONE;
  quiet.attribute(IFLA_INET6_ADDR_GEN_MODE, &none, sizeof none);
  quiet.end(family);
  quiet.end(families);
  try {
    netlink.transact(quiet, "RTM_NEWLINK", object);
  } catch (const SystemError& error) {
    // A host without IPv6.
    if (error.error != EAFNOSUPPORT) throw;
  }
  fixed.ifi_flags = fixed.ifi_change = IFF_UP | IFF_NOARP;
  Request up(RTM_NEWLINK, 0, fixed);
  netlink.transact(up, "RTM_NEWLINK", object);
}

}  // namespace

Injector::Injector(const std::string& object)
    : shared_(injected::SIZE, object), slots_(shared_.at<InjectSlot>(injected::SLOTS)) {
  std::string name;
  tap_ = openTap(name, object);
  NetlinkSocket netlink(object);
  const uint32_t index = netlink.linkIndex(name);
  program_ = attachInject(index, shared_.map(), object);
  bringUp(netlink, index, object);
  run();
  // Somebody has all received packets handled on other cores (net.core.rps_default_mask).
  if (broken_) fail("write", EOPNOTSUPP, object, "the program of " + name + " does not run when it is written to");
}

uint8_t* Injector::add(uint32_t link, uint32_t queue, uint32_t port, uint32_t length) {
  if (count_ == injected::MOST || used_ > injected::ROOM) return nullptr;
  slots_[count_] = {link, used_, static_cast<uint16_t>(length), static_cast<uint16_t>(queue), NOT_SENT};
  ports_[count_] = port;
  uint8_t* const bytes = shared_.bytes() + injected::BYTES + used_;
  used_ += (length + LINE - 1) / LINE * LINE;
  count_++;
  return bytes;
}

uint32_t Injector::run() {
  const uint32_t count = count_;
  count_ = used_ = 0;
  *shared_.at<uint32_t>(injected::SEQUENCE) = ++sequence_;
  __atomic_store_n(shared_.at<uint32_t>(injected::COUNT), count, __ATOMIC_RELEASE);
  const bool written = write(tap_.get(), TRIGGER, sizeof TRIGGER) == sizeof TRIGGER;
  uint32_t* const ran = shared_.at<uint32_t>(injected::RAN);
  if (written && __atomic_load_n(ran, __ATOMIC_ACQUIRE) == sequence_) return count;
  if (!written && errno != EBADFD && errno != EIO) return count;
  broken_ = true;
  // A program that has not begun finds nothing any more. One that is under way on another core reads the slots still.
  if (__atomic_exchange_n(shared_.at<uint32_t>(injected::COUNT), 0, __ATOMIC_ACQ_REL) != 0) return count;
  while (written && count > 0 && __atomic_load_n(ran, __ATOMIC_ACQUIRE) != sequence_) sched_yield();
  return count;
}

}  // namespace pteropus
