// Building and reading rtnetlink messages: a header, a fixed struct, then attributes padded to 4 bytes (RFC 3549).
#pragma once
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace pteropus {

class Request {
 public:
  // Fixed: ifinfomsg, ifaddrmsg, rtmsg, ndmsg.
  template <typename Fixed>
  Request(uint16_t type, uint16_t flags, const Fixed& fixed) : bytes_(NLMSG_SPACE(sizeof(Fixed))) {
    nlmsghdr* header = this->header();
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    memcpy(NLMSG_DATA(header), &fixed, sizeof(Fixed));
  }

  void attribute(uint16_t type, const void* data, size_t length) {
    rtattr attribute{static_cast<uint16_t>(RTA_LENGTH(length)), type};
    const size_t at = bytes_.size();
    bytes_.resize(at + RTA_SPACE(length));
    memcpy(&bytes_[at], &attribute, sizeof attribute);
    if (length > 0) memcpy(&bytes_[at + RTA_LENGTH(0)], data, length);
  }
  void attribute(uint16_t type, uint32_t value) { attribute(type, &value, sizeof value); }
  void attribute(uint16_t type, const std::string& text) { attribute(type, text.c_str(), text.size() + 1); }
  void attribute(uint16_t type, const std::vector<uint8_t>& bytes) { attribute(type, bytes.data(), bytes.size()); }

  // Everything appended until `end` lies inside this attribute.
  size_t begin(uint16_t type) {
    const size_t at = bytes_.size();
    attribute(type, nullptr, 0);
    return at;
  }
  void end(size_t at) {
    const uint16_t length = static_cast<uint16_t>(bytes_.size() - at);
    memcpy(&bytes_[at], &length, sizeof length);
  }
  // Plain bytes inside an attribute (VETH_INFO_PEER starts with an ifinfomsg).
  void append(const void* data, size_t length) {
    const size_t at = bytes_.size();
    bytes_.resize(at + NLMSG_ALIGN(length));
    memcpy(&bytes_[at], data, length);
  }

  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }
  const std::vector<uint8_t>& finish(uint32_t sequence) {
    header()->nlmsg_len = static_cast<uint32_t>(bytes_.size());
    header()->nlmsg_seq = sequence;
    return bytes_;
  }

 private:
  std::vector<uint8_t> bytes_;
};

// Walks the attributes behind `fixedSize` bytes of a message; `visit(type, data, length)`.
template <typename Visit>
void eachAttribute(const uint8_t* data, size_t length, Visit visit) {
  while (length >= sizeof(rtattr)) {
    rtattr attribute;
    memcpy(&attribute, data, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > length) return;
    visit(static_cast<uint16_t>(attribute.rta_type & NLA_TYPE_MASK), data + RTA_LENGTH(0), attribute.rta_len - RTA_LENGTH(0));
    const size_t step = RTA_ALIGN(attribute.rta_len);
    if (step >= length) return;
    data += step;
    length -= step;
  }
}

template <typename Fixed, typename Visit>
void eachAttribute(const nlmsghdr* message, Visit visit) {
  const size_t fixed = NLMSG_SPACE(sizeof(Fixed));
  if (message->nlmsg_len < fixed) return;
  eachAttribute(reinterpret_cast<const uint8_t*>(message) + fixed, message->nlmsg_len - fixed, visit);
}

}  // namespace pteropus
