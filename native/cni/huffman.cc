// The Huffman code of RFC 7541, appendix B. It is canonical: codes of one length follow each other in the order of their symbols,
// and longer codes come after shorter ones. So the lengths say it all.
#include <array>

#include "hpack.h"

namespace pteropus::cni {

namespace {

constexpr int kLongest = 30;
constexpr int kSymbols = 256;

// Bits of each byte's code. The end of the string (symbol 256) has 30 and is the last code; it must not occur.
constexpr uint8_t kLengths[kSymbols] = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
};

struct Length {
  uint32_t first = 0;  // the first code of this length
  uint32_t count = 0;
  uint32_t at = 0;  // where its symbols begin
};

struct Table {
  std::array<Length, kLongest + 1> lengths{};
  std::array<uint8_t, kSymbols> symbols{};

  constexpr Table() {
    for (const uint8_t bits : kLengths) lengths[bits].count++;
    uint32_t code = 0, at = 0;
    for (int bits = 1; bits <= kLongest; bits++) {
      Length& length = lengths[bits];
      code <<= 1;
      length.first = code;
      length.at = at;
      code += length.count;
      for (int symbol = 0; symbol < kSymbols; symbol++) {
        if (kLengths[symbol] == bits) symbols[at++] = static_cast<uint8_t>(symbol);
      }
    }
  }
};

constexpr Table kTable;

}  // namespace

std::optional<std::string> decodeHuffman(std::string_view bytes) {
  std::string out;
  uint32_t code = 0;
  int bits = 0;
  for (const char c : bytes) {
    for (int i = 7; i >= 0; i--) {
      code = code << 1 | (static_cast<uint8_t>(c) >> i & 1u);
      if (++bits > kLongest) return std::nullopt;
      const Length& length = kTable.lengths[static_cast<size_t>(bits)];
      if (code - length.first >= length.count) continue;
      out.push_back(static_cast<char>(kTable.symbols[length.at + code - length.first]));
      code = 0;
      bits = 0;
    }
  }
  // What is left over is padding: less than a byte, all ones (section 5.2).
  if (bits > 7 || code != (1u << bits) - 1) return std::nullopt;
  return out;
}

}  // namespace pteropus::cni
