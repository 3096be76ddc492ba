// A strict reader of JSON text (RFC 8259): proves that a whole text is one value, and hands out the members of its outermost
// object. Everything deeper is only proved; what it means is the agent's business.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace pteropus::cni {

enum class JsonKind { null, boolean, number, string, array, object };

// One member's value. `text`: a string's characters, a number as written; empty otherwise.
struct JsonValue {
  JsonKind kind = JsonKind::null;
  std::string text;
};

// Of a name that is there twice the last one counts, as with JSON.parse.
using JsonObject = std::map<std::string, JsonValue>;

// Deeper values are refused: the reader calls itself once a level.
constexpr int kJsonDepth = 200;

// The members of the object that `text` is. Nothing, and `why` says why, if it is not JSON or no object.
std::optional<JsonObject> readJsonObject(std::string_view text, std::string& why);

// `text` as a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD.
std::string quoteJson(std::string_view text);

}  // namespace pteropus::cni
