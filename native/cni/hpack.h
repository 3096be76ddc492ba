// Header compression (RFC 7541), as much as one call needs: fields are written as literals, and read without a dynamic table, which
// our SETTINGS forbid the server to use.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pteropus::cni {

struct Field {
  // Empty for names of the static table that nobody here asks for.
  std::string name;
  std::string value;
};

// A field whose name is entry `nameIndex` of the static table.
void appendField(std::string& block, unsigned nameIndex, std::string_view value);
void appendField(std::string& block, std::string_view name, std::string_view value);
// A field that the static table has whole.
void appendIndexed(std::string& block, unsigned index);

// All fields of a header block; nothing if it is none.
std::optional<std::vector<Field>> readFields(std::string_view block);

// Appendix B of RFC 7541; nothing if `bytes` are not such a text.
std::optional<std::string> decodeHuffman(std::string_view bytes);

}  // namespace pteropus::cni
