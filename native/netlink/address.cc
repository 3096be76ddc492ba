#include "netlink/address.h"

#include <arpa/inet.h>

#include <cstdio>
#include <cstdlib>

#include "common/error.h"

namespace pteropus {

Address parseAddress(const std::string& text) {
  const size_t slash = text.find('/');
  const std::string host = text.substr(0, slash);
  Address address;
  address.family = host.find(':') == std::string::npos ? AF_INET : AF_INET6;
  address.bytes.resize(address.family == AF_INET ? 4 : 16);
  if (inet_pton(address.family, host.c_str(), address.bytes.data()) != 1) fail("address", EINVAL, text);
  const auto bits = static_cast<unsigned long>(address.bytes.size() * 8);
  unsigned long prefix = bits;
  if (slash != std::string::npos) {
    char* end = nullptr;
    const char* digits = text.c_str() + slash + 1;
    prefix = strtoul(digits, &end, 10);
    if (*digits < '0' || *digits > '9' || *end != '\0' || prefix > bits) fail("address", EINVAL, text);
  }
  address.prefix = static_cast<uint8_t>(prefix);
  return address;
}

std::vector<uint8_t> parseMac(const std::string& text) {
  unsigned int b[6];
  char end;
  const int fields = sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end);
  if (fields != 6 || text.size() != 17) fail("mac", EINVAL, text);
  std::vector<uint8_t> bytes;
  for (const unsigned int byte : b) bytes.push_back(static_cast<uint8_t>(byte));
  return bytes;
}

std::string macText(const uint8_t* b) {
  char text[18];
  snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
  return text;
}

std::string addressText(uint8_t family, const uint8_t* bytes) {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(family, bytes, text, sizeof text) == nullptr ? "" : text;
}

}  // namespace pteropus
