#include "json.h"

#include <cstdio>

#include "utf8.h"

namespace pteropus::cni {

namespace {

struct Refused {
  const char* why;
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  // `members`: where the outermost object's members go; null for everything deeper.
  JsonValue value(int depth, JsonObject* members) {
    if (depth > kJsonDepth) throw Refused{"it is nested too deep"};
    space();
    JsonValue result;
    switch (peek()) {
      case '{':
        object(depth, members);
        result.kind = JsonKind::object;
        break;
      case '[':
        array(depth);
        result.kind = JsonKind::array;
        break;
      case '"':
        result = {JsonKind::string, string()};
        break;
      case 't':
        word("true");
        result.kind = JsonKind::boolean;
        break;
      case 'f':
        word("false");
        result.kind = JsonKind::boolean;
        break;
      case 'n':
        word("null");
        break;
      default:
        result = {JsonKind::number, number()};
    }
    space();
    return result;
  }

  void end() const {
    if (at_ != text_.size()) throw Refused{"there is something behind its end"};
  }

 private:
  // The next byte, 0 at the end: a zero byte is nowhere allowed, so both are refused alike.
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool take(char wanted) {
    if (peek() != wanted) return false;
    at_++;
    return true;
  }

  void space() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') at_++;
  }

  void word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) throw Refused{"a word is unknown"};
    at_ += word.size();
  }

  void object(int depth, JsonObject* members) {
    at_++;
    space();
    if (take('}')) return;
    do {
      space();
      if (peek() != '"') throw Refused{"a name is missing"};
      std::string name = string();
      space();
      if (!take(':')) throw Refused{"a colon is missing"};
      JsonValue member = value(depth + 1, nullptr);
      if (members != nullptr) (*members)[std::move(name)] = std::move(member);
    } while (take(','));
    if (!take('}')) throw Refused{"an object does not end"};
  }

  void array(int depth) {
    at_++;
    space();
    if (take(']')) return;
    do value(depth + 1, nullptr);
    while (take(','));
    if (!take(']')) throw Refused{"a list does not end"};
  }

  std::string string() {
    at_++;
    std::string out;
    for (;;) {
      const char c = peek();
      if (static_cast<unsigned char>(c) < 0x20) throw Refused{"a string does not end"};
      if (take('"')) return out;
      if (take('\\')) {
        escape(out);
        continue;
      }
      const size_t length = utf8Length(text_.substr(at_));
      if (length == 0) throw Refused{"a string is not UTF-8"};
      out.append(text_, at_, length);
      at_ += length;
    }
  }

  void escape(std::string& out) {
    static constexpr std::string_view kNames = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    const char c = peek();
    at_++;
    if (c != 'u') {
      const size_t which = c == '\0' ? std::string_view::npos : kNames.find(c);
      if (which == std::string_view::npos) throw Refused{"a backslash means nothing"};
      out.push_back(kMeant[which]);
      return;
    }
    uint32_t point = hex4();
    const bool high = point >= 0xd800 && point < 0xdc00;
    if (high && text_.substr(at_, 2) == "\\u") {
      const size_t before = at_;
      at_ += 2;
      const uint32_t low = hex4();
      if (low >= 0xdc00 && low < 0xe000) point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
      else at_ = before;
    }
    // Half of a pair alone is JSON, though no character.
    appendUtf8(out, point >= 0xd800 && point < 0xe000 ? 0xfffd : point);
  }

  uint32_t hex4() {
    uint32_t result = 0;
    for (int i = 0; i < 4; i++, at_++) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) throw Refused{"four hexadecimal digits are missing"};
      result = result << 4 | static_cast<uint32_t>(digit);
    }
    return result;
  }

  std::string number() {
    const size_t start = at_;
    take('-');
    if (!take('0')) digits();
    if (take('.')) digits();
    if (peek() == 'e' || peek() == 'E') {
      at_++;
      if (!take('+')) take('-');
      digits();
    }
    return std::string(text_.substr(start, at_ - start));
  }

  void digits() {
    if (peek() < '0' || peek() > '9') throw Refused{"a value is missing"};
    while (peek() >= '0' && peek() <= '9') at_++;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::optional<JsonObject> readJsonObject(std::string_view text, std::string& why) {
  try {
    JsonObject members;
    Reader reader(text);
    const JsonValue value = reader.value(0, &members);
    reader.end();
    if (value.kind == JsonKind::object) return members;
    why = "the network configuration is not a JSON object";
  } catch (const Refused& refused) {
    why = std::string("the network configuration is not JSON: ") + refused.why;
  }
  return std::nullopt;
}

std::string quoteJson(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8Length(text.substr(i));
    const char c = text[i];
    if (length == 0) {
      appendUtf8(out, 0xfffd);
    } else if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out.append(text, i, length);
    }
    i += length == 0 ? 1 : length;
  }
  return out + '"';
}

}  // namespace pteropus::cni
