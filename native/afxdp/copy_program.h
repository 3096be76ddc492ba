// The program at a pod's link that copies each packet into a ring which we read, and ends it there.
#pragma once
#include <cstdint>
#include <string>

#include "common/fd.h"

namespace pteropus {

// What stands before a packet's bytes in the ring.
struct CopyHeader {
  uint32_t length;  // of the packet; 0: none, the entry only woke us
  uint32_t tag;     // VLAN tag that the kernel took out: protocol in network order, control information in the upper half; 0: none
};

// Memory of the programs of one worker, which both sides read and write: a map of one value.
namespace copystate {
constexpr uint32_t ASLEEP = 0;  // u32: the worker waits, so who puts something into a ring has to wake it
constexpr uint32_t CORE = 4;    // u32: the core of who woke it, and one; 0: nobody did
// By port, u64: packets that found no room in the ring, or are none that a link without offloads has. Not in the line that all programs read.
constexpr uint32_t LOST = 64;
}  // namespace copystate

// Packets up to so many bytes can be copied: the longest MTU of a veth, and its link header.
constexpr uint32_t LONGEST_COPY = 65536;

// Loads the program and attaches it to the link's ingress (tcx, kernel 6.6; it is gone when the descriptor is closed). Must run in the
// link's namespace. `lost`: offset of the port's counter in the state. SystemError, EINVAL on kernels without tcx.
Fd attachCopy(uint32_t ifindex, const Fd& ring, const Fd& state, uint32_t lost, const std::string& object);

}  // namespace pteropus
