// The XDP program that hands every packet of a device to its AF_XDP sockets, loaded with raw bpf(2): no clang, no libbpf.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "common/fd.h"

namespace pteropus {

struct Attachment {
  Fd map;   // XSKMAP: rx queue -> socket
  Fd link;  // detaches when closed, so also when the process dies
  bool native = false;
};

// Tap: no program; the device is a TAP, whose packets are read and written.
enum class AttachMode { Native, Generic, Auto, Tap };

// Loads the program over the sockets (index = rx queue) and attaches it. Must run in the device's namespace.
// `frags`: the program accepts multi-buffer packets (kernel 5.18).
Attachment attachRedirect(uint32_t ifindex, const std::vector<int>& sockets, AttachMode mode, const std::string& object);

}  // namespace pteropus
