// The header before each packet of a TAP (virtio 1.2, section 5.1.6), little-endian machines only. linux/virtio_net.h is no
// C++, and not all of it is old enough for every distribution.
#pragma once
#include <cstdint>

namespace pteropus {

struct VnetHeader {
  static constexpr uint8_t NEEDS_CHECKSUM = 1;
  static constexpr uint8_t GSO_NONE = 0, GSO_TCP4 = 1, GSO_TCP6 = 4, GSO_UDP = 5, GSO_ECN = 0x80;

  uint8_t flags;
  uint8_t gsoType;
  uint16_t headerLength;
  uint16_t gsoSize;
  uint16_t checksumStart;   // bytes from the packet's begin
  uint16_t checksumOffset;  // bytes from there
};
static_assert(sizeof(VnetHeader) == 10, "as the kernel has it");

}  // namespace pteropus
