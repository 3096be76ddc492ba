// The program at an injector's ingress that sends a whole batch of packets by the links they are for (injector.h).
#pragma once
#include <cstdint>
#include <string>

#include "common/fd.h"

namespace pteropus {

// A packet of a batch.
struct InjectSlot {
  uint32_t link;    // index of the link that it leaves by
  uint32_t offset;  // of its bytes, from injected::BYTES
  uint16_t length;
  uint16_t queue;  // of the link, to which the other end's of the same number belongs
  int32_t result;  // 0: it was handed on; else the kernel's reason, or what stood there if the program did not get to it
};

// The memory that the program and we have in common: a map of one value.
namespace injected {
constexpr uint32_t COUNT = 0;      // u32: slots to be sent; the program takes it, and puts 0 there, before it looks at them
constexpr uint32_t SEQUENCE = 4;   // u32: of the batch
constexpr uint32_t RAN = 64;       // u32: that of the last batch the program is done with
constexpr uint32_t SLOTS = 128;
constexpr uint32_t MOST = 256;     // slots
constexpr uint32_t BYTES = 8192;   // of all packets
constexpr uint32_t ROOM = 1 << 17;  // where a packet may begin
// A packet in one piece of memory, that with the kernel's own share of it is a page.
constexpr uint32_t LONGEST = 3584;
constexpr uint32_t SHORTEST = 14;
constexpr uint32_t SIZE = BYTES + ROOM + 4096;
static_assert(SLOTS + MOST * sizeof(InjectSlot) <= BYTES && LONGEST <= 4096);
}  // namespace injected

// Loads it for that memory and attaches it to the link's ingress. Must run in the link's namespace. SystemError where the kernel cannot.
Fd attachInject(uint32_t ifindex, const Fd& shared, const std::string& object);

}  // namespace pteropus
