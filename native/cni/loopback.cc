#include "loopback.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "common/fd.h"

namespace pteropus::cni {

namespace {

constexpr const char* kLink = "lo";

// The flags of `lo` in the namespace this process is in; negative with errno.
int linkFlags(const Fd& any, ifreq& request) {
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, kLink, sizeof request.ifr_name - 1);
  return ioctl(any.get(), SIOCGIFFLAGS, &request) < 0 ? -1 : static_cast<uint16_t>(request.ifr_flags);
}

// Sets `lo` up or down in that namespace, or asks whether it is up (`wanted` null). Zero, or errno.
int inSandbox(const std::string& netns, const bool* wanted, bool& up) {
  const Fd sandbox(open(netns.c_str(), O_RDONLY | O_CLOEXEC));
  if (!sandbox.open() || setns(sandbox.get(), CLONE_NEWNET) < 0) return errno;
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request;
  const int flags = any.open() ? linkFlags(any, request) : -1;
  if (flags < 0) return errno;
  up = (flags & IFF_UP) != 0;
  if (wanted == nullptr || *wanted == up) return 0;
  request.ifr_flags = static_cast<short>(*wanted ? flags | IFF_UP : flags & ~IFF_UP);
  return ioctl(any.get(), SIOCSIFFLAGS, &request) < 0 ? errno : 0;
}

// As the reference plugin says it; before 0.3.0 a result has no lists.
std::string resultOf(const std::string& version, const std::string& netns) {
  const std::string head = "{\"cniVersion\":" + quoteJson(version);
  if (version < "0.3.0") return head + ",\"ip4\":{\"ip\":\"127.0.0.1/8\"},\"dns\":{}}\n";
  const std::string family = version < "1.0.0" ? "\"version\":\"4\"," : "";
  return head + ",\"interfaces\":[{\"name\":\"lo\",\"mac\":\"00:00:00:00:00:00\",\"sandbox\":" + quoteJson(netns) +
         "}],\"ips\":[{" + family + "\"interface\":0,\"address\":\"127.0.0.1/8\"}],\"dns\":{}}\n";
}

}  // namespace

Answer loopback(const Variables& variables, std::string_view text) {
  std::string why;
  const auto members = readJsonObject(text, why);
  if (!members) return failure(kNewest, kDecodingFailure, why);
  const auto member = members->find("cniVersion");
  // Absent means 0.1.0, by the specification.
  const std::string version = member == members->end() ? "0.1.0" : member->second.text;
  if (std::find(std::begin(kLoopbackVersions), std::end(kLoopbackVersions), version) == std::end(kLoopbackVersions)) {
    return failure(kNewest, kIncompatibleVersion, "cniVersion " + quoteJson(version) + " is not supported");
  }
  const std::string command = valueOf(variables, "CNI_COMMAND");
  const std::string netns = valueOf(variables, "CNI_NETNS");
  const bool up = true, down = false;
  bool was = false;
  if (command == "ADD" || command == "CHECK") {
    const int error = inSandbox(netns, command == "ADD" ? &up : nullptr, was);
    if (error != 0) return failure(version, kIoFailure, "lo of " + netns + ": " + strerror(error));
    if (command == "ADD") return {0, resultOf(version, netns)};
    if (!was) return failure(version, kDiffers, "lo of " + netns + " is down");
  }
  // A namespace that is gone has no lo either.
  if (command == "DEL" && !netns.empty()) inSandbox(netns, &down, was);
  return {0, ""};
}

}  // namespace pteropus::cni
