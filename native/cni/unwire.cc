#include "unwire.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/error.h"
#include "common/namespace.h"
#include "netlink/netns.h"
#include "sha256.h"

namespace pteropus::cni {

namespace {

constexpr const char* kOwnNetns = "/proc/self/ns/net";
// 52 bits: with "pt" they fill the kernel's 15 characters.
constexpr int kCutBits = 64 - 52;

// FNV-1a, 32 bits.
uint32_t fnv1a32(const std::string& text) {
  uint32_t hash = 0x811c9dc5;
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x01000193;
  return hash;
}

template <typename Ours>
void removeLinks(Netns& where, Ours ours) {
  for (const LinkInfo& link : where.links()) {
    if (!ours(link)) continue;
    try {
      where.deleteLink(link.name);
    } catch (const SystemError& error) {
      if (error.error != ENODEV) throw;
    }
  }
}

// A namespace that is gone may have left its file.
bool isGone(const SystemError& error) { return error.error == ENOENT || error.error == EINVAL || error.error == ENODEV; }

bool isOwn(const std::string& path) {
  struct stat own, other;
  return stat(kOwnNetns, &own) == 0 && stat(path.c_str(), &other) == 0 && own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

void inSandbox(const std::string& path, const std::string& ifname, const PodNames& names) {
  if (path.empty() || isOwn(path)) return;
  try {
    Netns sandbox(path, openNetns(path));
    // A TAP that is not finished has the other name.
    removeLinks(sandbox, [&](const LinkInfo& link) { return link.name == names.link || (link.name == ifname && link.mac == names.mac); });
  } catch (const SystemError& error) {
    if (!isGone(error)) throw;
  }
}

}  // namespace

PodNames podNames(const std::string& containerId, const std::string& ifname) {
  const std::string sandbox = containerId + "/" + ifname;
  char link[16], mac[18];
  snprintf(link, sizeof link, "pt%013llx", static_cast<unsigned long long>(sha256Head(sandbox) >> kCutBits));
  const uint32_t hash = fnv1a32(sandbox);
  snprintf(mac, sizeof mac, "02:fe:%02x:%02x:%02x:%02x", hash >> 24, hash >> 16 & 255, hash >> 8 & 255, hash & 255);
  return {link, mac};
}

std::string unwire(const Variables& variables) {
  const std::string ifname = valueOf(variables, "CNI_IFNAME");
  const PodNames names = podNames(valueOf(variables, "CNI_CONTAINERID"), ifname);
  try {
    Netns node("the node", Fd());
    removeLinks(node, [&](const LinkInfo& link) { return link.name == names.link && link.type == "veth"; });
    inSandbox(valueOf(variables, "CNI_NETNS"), ifname, names);
    return "";
  } catch (const SystemError& error) {
    const std::string detail = error.detail.empty() ? "" : " (" + error.detail + ")";
    return error.syscall + " " + error.object + ": " + strerror(error.error) + detail;
  }
}

}  // namespace pteropus::cni
