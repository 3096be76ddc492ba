// The program at a pod's link that copies each packet into a ring which we read, and ends it there.
#pragma once
#include <cstdint>
#include <string>

#include "common/fd.h"

namespace pteropus {

// Memory of the programs of one worker, which both sides read and write: a map of one value.
// It begins with a WakeNote (common/waker.h): while the worker is asleep, who puts something into a ring has to wake it.
namespace copystate {
// By port, u64: packets that found no room in the ring, or are none that a link without offloads has. Not in the line that all programs read.
constexpr uint32_t LOST = 64;
}  // namespace copystate

// What a ring says of a packet.
struct CopyDescriptor {
  uint32_t turn;    // number of the packet among all that came, and one; written last. Anything else: it is not there yet
  uint32_t length;  // 0: it was lost, only its place is there
  uint32_t tag;     // VLAN tag that the kernel took out: protocol in network order, control information in the upper half; 0: none
  uint32_t lines;   // that its bytes take
};

// A ring, which is a map of one value too: packets' bytes one after the other, each from the begin of a cache line on, and a descriptor for each.
// Programs may run on all cores at once, and take their places by one atomic addition. We read descriptors and not the place that all of them
// write to: a core that looks there takes it from the one that sends.
namespace copyring {
constexpr uint32_t LINE = 64;
// Bytes: what TCP windows put there while the worker does not run, 650 packets of an MTU of 1500, 15,000 of 64 bytes. With half of it and two
// cores one TCP connection loses a quarter of its rate; twice as much gains nothing.
constexpr uint32_t BYTES = 1 << 20;
constexpr uint32_t LINES = BYTES / LINE;
// Packets up to so many bytes can be copied: the longest MTU of a veth, and its link header.
constexpr uint32_t LONGEST = 65536;

// u64: packets in the lower half, lines in the upper one, both as they overflow. HEAD: that took their places. TAIL: that we are done with.
constexpr uint32_t HEAD = 0;
constexpr uint32_t TAIL = 128;
constexpr uint32_t DESCRIPTORS = 4096;  // as many as lines
constexpr uint32_t DATA = DESCRIPTORS + LINES * sizeof(CopyDescriptor);
// The last packet may go beyond the end: no packet is in two pieces.
constexpr uint32_t SIZE = DATA + BYTES + LONGEST;
static_assert(SIZE % 4096 == 0 && sizeof(CopyDescriptor) == 16);

constexpr uint64_t place(uint32_t lines) { return (static_cast<uint64_t>(lines) << 32) + 1; }
}  // namespace copyring

// Loads the program and attaches it to the link's ingress (tcx, kernel 6.6; it is gone when the descriptor is closed). Must run in the
// link's namespace. `wake`: a BPF_MAP_TYPE_RINGBUF that becomes readable when something comes while the worker is asleep. `lost`: offset of
// the port's counter in the state. SystemError, EINVAL on kernels without tcx.
Fd attachCopy(uint32_t ifindex, const Fd& ring, const Fd& state, const Fd& wake, uint32_t lost, const std::string& object);

}  // namespace pteropus
