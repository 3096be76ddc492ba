// One-shot questions: is this address and port reachable from here, and who answers?
#pragma once
#include <string>

#include "loop.h"

namespace pod {

// Starts a probe and prints `result ID OUTCOME MILLIS TEXT` when it is decided:
//   connected TEXT = first word of the answer (the pod's name); for icmp the address
//   refused   the destination's own stack: TEXT = `-` for a TCP RST, its address for an ICMP port unreachable
//   rejected  any other ICMP unreachable; TEXT = the address that sent it
//   timeout   nothing came; TEXT = `-`
//   error     TEXT = why
// UDP and ICMP are asked again every 200 ms until then.
void probe(Loop& loop, const std::string& id, const std::string& protocol, const std::string& address, uint16_t port,
           int64_t timeoutMillis);

}  // namespace pod
