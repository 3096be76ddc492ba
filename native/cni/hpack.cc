#include "hpack.h"

namespace pteropus::cni {

namespace {

constexpr unsigned kStaticEntries = 61;
constexpr unsigned kStatusFirst = 8;
// Values of entries 8 to 14 of the static table, whose name is `:status`.
constexpr const char* kStatuses[] = {"200", "204", "206", "304", "400", "404", "500"};
constexpr unsigned kStatusLast = kStatusFirst + 6;

// Section 5.1. `bits`: how many of the first byte belong to the number.
void appendInteger(std::string& out, uint8_t first, unsigned bits, size_t value) {
  const size_t most = (1u << bits) - 1;
  if (value < most) {
    out.push_back(static_cast<char>(first | value));
    return;
  }
  out.push_back(static_cast<char>(first | most));
  for (value -= most; value > 127; value >>= 7) out.push_back(static_cast<char>(value | 128));
  out.push_back(static_cast<char>(value));
}

void appendString(std::string& out, std::string_view text) {
  appendInteger(out, 0, 7, text.size());
  out += text;
}

bool takeInteger(std::string_view& block, unsigned bits, uint32_t& value) {
  if (block.empty()) return false;
  const uint32_t most = (1u << bits) - 1;
  value = static_cast<uint8_t>(block[0]) & most;
  block.remove_prefix(1);
  if (value < most) return true;
  // Numbers of more than four further bytes mean nothing that is small enough for us.
  for (unsigned shift = 0; shift < 28 && !block.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(block[0]);
    block.remove_prefix(1);
    value += static_cast<uint32_t>(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

bool takeString(std::string_view& block, std::string& text) {
  if (block.empty()) return false;
  const bool huffman = (static_cast<uint8_t>(block[0]) & 0x80) != 0;
  uint32_t length = 0;
  if (!takeInteger(block, 7, length) || length > block.size()) return false;
  const std::string_view raw = block.substr(0, length);
  block.remove_prefix(length);
  if (!huffman) {
    text = raw;
    return true;
  }
  auto decoded = decodeHuffman(raw);
  if (!decoded) return false;
  text = std::move(*decoded);
  return true;
}

bool isStatus(uint32_t index) {
  return index >= kStatusFirst && index <= kStatusLast;
}

// A literal: its name is an entry of the table, or a text of its own (index 0).
bool takeLiteral(std::string_view& block, unsigned bits, Field& field) {
  uint32_t index = 0;
  if (!takeInteger(block, bits, index) || index > kStaticEntries) return false;
  if (index == 0 && !takeString(block, field.name)) return false;
  if (isStatus(index)) field.name = ":status";
  return takeString(block, field.value);
}

}  // namespace

void appendIndexed(std::string& block, unsigned index) {
  appendInteger(block, 0x80, 7, index);
}

void appendField(std::string& block, unsigned nameIndex, std::string_view value) {
  appendInteger(block, 0, 4, nameIndex);
  appendString(block, value);
}

void appendField(std::string& block, std::string_view name, std::string_view value) {
  block.push_back('\0');
  appendString(block, name);
  appendString(block, value);
}

std::optional<std::vector<Field>> readFields(std::string_view block) {
  std::vector<Field> fields;
  while (!block.empty()) {
    const auto first = static_cast<uint8_t>(block[0]);
    uint32_t number = 0;
    Field field;
    if (first & 0x80) {
      if (!takeInteger(block, 7, number) || number == 0 || number > kStaticEntries) return std::nullopt;
      if (isStatus(number)) field = {":status", kStatuses[number - kStatusFirst]};
    } else if (first & 0x40) {
      // To be put into the dynamic table, where there is no room for it.
      if (!takeLiteral(block, 6, field)) return std::nullopt;
    } else if (first & 0x20) {
      // The table's size: only none was allowed.
      if (!takeInteger(block, 5, number) || number != 0) return std::nullopt;
      continue;
    } else if (!takeLiteral(block, 4, field)) {
      return std::nullopt;
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

}  // namespace pteropus::cni
