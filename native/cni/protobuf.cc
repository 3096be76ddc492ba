#include "protobuf.h"

#include <cstdint>

namespace pteropus::cni {

namespace {

enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void appendVarint(std::string& out, uint64_t value) {
  for (; value > 127; value >>= 7) out.push_back(static_cast<char>(value | 128));
  out.push_back(static_cast<char>(value));
}

void appendBytes(std::string& out, unsigned field, std::string_view bytes) {
  appendVarint(out, field << 3 | kBytes);
  appendVarint(out, bytes.size());
  out += bytes;
}

bool takeVarint(std::string_view& bytes, uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[0]);
    bytes.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

bool takeBytes(std::string_view& bytes, uint64_t length, std::string_view& taken) {
  if (length > bytes.size()) return false;
  taken = bytes.substr(0, length);
  bytes.remove_prefix(length);
  return true;
}

}  // namespace

std::string encodeInvocation(const Variables& environment, std::string_view stdinText) {
  std::string out;
  for (const auto& [name, value] : environment) {
    std::string entry;
    appendBytes(entry, 1, name);
    appendBytes(entry, 2, value);
    appendBytes(out, 1, entry);
  }
  appendBytes(out, 2, stdinText);
  return out;
}

std::optional<Answer> decodeOutcome(std::string_view bytes) {
  Answer answer{0, {}};
  while (!bytes.empty()) {
    uint64_t tag = 0, number = 0;
    std::string_view content;
    if (!takeVarint(bytes, tag)) return std::nullopt;
    switch (tag & 7) {
      case kVarint:
        if (!takeVarint(bytes, number)) return std::nullopt;
        break;
      case kFixed64:
        if (!takeBytes(bytes, 8, content)) return std::nullopt;
        break;
      case kBytes:
        if (!takeVarint(bytes, number) || !takeBytes(bytes, number, content)) return std::nullopt;
        break;
      case kFixed32:
        if (!takeBytes(bytes, 4, content)) return std::nullopt;
        break;
      default:
        return std::nullopt;
    }
    if (tag == (1 << 3 | kVarint)) answer.exit = number > 255 ? 255 : static_cast<int>(number);
    if (tag == (2 << 3 | kBytes)) answer.text = content;
  }
  return answer;
}

}  // namespace pteropus::cni
