// TAP devices: made to stay in a namespace, and attached to by the data plane as long as it runs.
#pragma once
#include <string>

#include "common/fd.h"

namespace pteropus {

// Makes a TAP that stays (TUNSETPERSIST) in the thread's namespace, with nothing behind it yet. Several queues are for several workers,
// and for VPP, which asks for them even if it uses one; the kernel refuses either kind to who wants the other (EINVAL).
void createTap(const std::string& name, const std::string& object, bool multiQueue);

// Takes the device's packets, each with a virtio-net header and without waiting. Must run in the device's namespace.
// Checksums and TCP segments are left to us, UDP segments where the kernel offers it (6.2). ENODEV if there is no such device,
// EBUSY if another has it. `multiQueue`: a queue of it; the kernel sends a flow's packets to the queue that its others came from.
Fd attachTap(const std::string& name, const std::string& object, bool multiQueue);

}  // namespace pteropus
