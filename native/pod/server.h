// What a pod answers: HTTP and echo over TCP (and SCTP), echo over UDP, always with the pod's name.
#pragma once
#include <string>

#include "loop.h"

namespace pod {

// Each listens on all addresses, IPv6 included where the kernel has it. Return '' or why not.
std::string listenStream(Loop& loop, const std::string& name, int protocol, uint16_t port);
std::string listenUdp(Loop& loop, const std::string& name, uint16_t port);

}  // namespace pod
