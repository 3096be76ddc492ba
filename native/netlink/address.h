// Addresses as text and as the bytes the kernel wants (network order).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pteropus {

struct Address {
  uint8_t family;  // AF_INET or AF_INET6
  uint8_t prefix;  // bits
  std::vector<uint8_t> bytes;
};

// `10.1.2.3`, `10.1.2.0/24`, `fd00::1/64`; without a slash the prefix is the whole address. EINVAL if it is none.
Address parseAddress(const std::string& text);

// Six bytes of `02:fe:00:00:00:01`; EINVAL if it is none.
std::vector<uint8_t> parseMac(const std::string& text);

std::string macText(const uint8_t* bytes);
std::string addressText(uint8_t family, const uint8_t* bytes);

}  // namespace pteropus
