// Cuts a packet that a TAP left whole into the packets its sender meant: the headers of each, around payload that the caller
// copies. Inside a VXLAN tunnel the outer headers are cut along.
#pragma once
#include "tap/offload.h"

namespace pteropus {

class Cut {
 public:
  // VXLAN's outer Ethernet, IPv4, UDP and VXLAN headers (RFC 7348).
  static constexpr uint32_t TUNNEL = 50;

  // `tunnel`: the packet begins with TUNNEL bytes of outer headers. Check `valid` before anything else.
  Cut(const Leaving& packet, const Offload& offload, bool tunnel);

  bool valid() const { return headers_ != 0; }
  uint32_t headers() const { return headers_; }
  uint32_t payload() const { return packet_.total - headers_; }

  // Writes the headers of the segment whose payload begins at `at`, has `length` bytes and sums up to `payload`.
  void write(uint8_t* out, uint32_t at, uint32_t length, const Sum& payload) const;

 private:
  void writeOuter(uint8_t* out, uint32_t length) const;
  void writeIp(uint8_t* l3, uint32_t at, uint32_t length) const;
  void writeTcp(uint8_t* tcp, uint32_t at, uint32_t length) const;

  Leaving packet_;
  Offload offload_;
  bool tunnel_;
  uint32_t headers_;
};

}  // namespace pteropus
