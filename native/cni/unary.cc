#include "unary.h"

#include <algorithm>

#include "hpack.h"

namespace pteropus::cni {

namespace {

enum Type : uint8_t {
  kData = 0,
  kHeaders = 1,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
enum Flag : uint8_t { kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8, kPriority = 32 };
enum Setting : uint16_t { kHeaderTableSize = 1, kEnablePush = 2, kInitialWindowSize = 4 };

constexpr uint32_t kStream = 1;
constexpr size_t kFrameHead = 9;
constexpr size_t kLongestFrame = 16384;  // what every HTTP/2 end takes, and all we allow the server
// Room for the whole answer from the start, so that it is never asked for.
constexpr size_t kLargestReply = 4 << 20;
constexpr size_t kLargestBlock = 64 << 10;
constexpr size_t kMessageHead = 5;
constexpr int64_t kLargestWindow = 0x7fffffff;
// What answers to pings and settings may grow to before the server is no longer listened to.
constexpr size_t kLargestOutput = 8 << 20;

// The entries of the static table that a gRPC request has (RFC 7541 appendix A).
enum Static { kAuthority = 1, kPost = 3, kPath = 4, kSchemeHttp = 6, kContentType = 31 };

void append16(std::string& out, uint16_t value) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value));
}

void append32(std::string& out, uint32_t value) {
  append16(out, static_cast<uint16_t>(value >> 16));
  append16(out, static_cast<uint16_t>(value));
}

uint32_t number(std::string_view bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; i++) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// Without the padding that may be around it.
std::string_view unpadded(uint8_t flags, std::string_view payload) {
  if ((flags & kPadded) == 0) return payload;
  if (payload.empty()) throw CallError("a padded frame is empty");
  const size_t padding = static_cast<uint8_t>(payload[0]);
  if (padding + 1 > payload.size()) throw CallError("a frame is all padding");
  return payload.substr(1, payload.size() - 1 - padding);
}

// grpc-message is percent-encoded.
std::string percentDecoded(std::string_view text) {
  std::string out;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  for (size_t i = 0; i < text.size(); i++) {
    const int high = text[i] == '%' && i + 2 < text.size() ? digit(text[i + 1]) : -1;
    const int low = high < 0 ? -1 : digit(text[i + 2]);
    if (low < 0) {
      out.push_back(text[i]);
    } else {
      out.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    }
  }
  return out;
}

}  // namespace

UnaryCall::UnaryCall(std::string_view method, std::string_view message, int timeoutMs) {
  output_ = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  std::string settings;
  const std::pair<uint16_t, uint32_t> wanted[] = {{kHeaderTableSize, 0}, {kEnablePush, 0}, {kInitialWindowSize, kLargestReply}};
  for (const auto& [name, value] : wanted) {
    append16(settings, name);
    append32(settings, value);
  }
  append(kSettings, 0, 0, settings);
  std::string more;
  append32(more, static_cast<uint32_t>(kLargestReply - 65535));
  append(kWindowUpdate, 0, 0, more);

  std::string block;
  appendIndexed(block, kPost);
  appendIndexed(block, kSchemeHttp);
  appendField(block, kPath, method);
  appendField(block, kAuthority, "localhost");
  appendField(block, kContentType, "application/grpc");
  appendField(block, "te", "trailers");
  appendField(block, "grpc-timeout", std::to_string(timeoutMs) + "m");
  append(kHeaders, kEndHeaders, kStream, block);

  message_.push_back('\0');  // not compressed
  append32(message_, static_cast<uint32_t>(message.size()));
  message_ += message;
  unsent_ = message_.size();
  pump();
}

void UnaryCall::append(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  append32(output_, static_cast<uint32_t>(payload.size()) << 8 | type);
  output_.push_back(static_cast<char>(flags));
  append32(output_, stream);
  output_ += payload;
  if (output_.size() > kLargestOutput) throw CallError("the server takes nothing");
}

void UnaryCall::pump() {
  while (unsent_ > 0) {
    const int64_t room = std::min({connectionWindow_, streamWindow_, static_cast<int64_t>(kLongestFrame)});
    if (room <= 0) return;
    const size_t length = std::min(static_cast<size_t>(room), unsent_);
    const std::string_view rest = std::string_view(message_).substr(message_.size() - unsent_, length);
    unsent_ -= length;
    connectionWindow_ -= static_cast<int64_t>(length);
    streamWindow_ -= static_cast<int64_t>(length);
    append(kData, unsent_ == 0 ? kEndStream : 0, kStream, rest);
  }
}

void UnaryCall::receive(std::string_view bytes) {
  input_ += bytes;
  size_t at = 0;
  while (!done_ && input_.size() - at >= kFrameHead) {
    const std::string_view rest = std::string_view(input_).substr(at);
    const size_t length = number(rest, 0, 3);
    if (length > kLongestFrame) throw CallError("what answers is no gRPC server");
    if (rest.size() < kFrameHead + length) break;
    frame(static_cast<uint8_t>(rest[3]), static_cast<uint8_t>(rest[4]), number(rest, 5, 4) & 0x7fffffff,
          rest.substr(kFrameHead, length));
    at += kFrameHead + length;
  }
  input_.erase(0, at);
}

void UnaryCall::frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  if (inBlock_ != (type == kContinuation)) throw CallError("a header block is cut off");
  // What else there may be of other streams is of no concern.
  const bool ours = stream == kStream;
  switch (type) {
    case kData:
      if (ours) data(flags, unpadded(flags, payload));
      break;
    case kHeaders:
      if (!ours) throw CallError("headers of a call nobody made");
      headers(flags, unpadded(flags, payload));
      break;
    case kContinuation:
      block_ += payload;
      if (block_.size() > kLargestBlock) throw CallError("its headers are too large");
      if (flags & kEndHeaders) fields(blockEndsStream_);
      break;
    case kRstStream:
      if (payload.size() != 4) throw CallError("a frame has the wrong length");
      if (ours && !done_) throw CallError("the call was cut off, HTTP/2 error " + std::to_string(number(payload, 0, 4)));
      break;
    case kSettings:
      settings(flags, payload);
      break;
    case kPushPromise:
      throw CallError("what answers is no gRPC server");
    case kPing:
      if (payload.size() != 8) throw CallError("a frame has the wrong length");
      if ((flags & kAck) == 0) append(kPing, kAck, 0, payload);
      break;
    case kGoAway:
      goAway(payload);
      break;
    case kWindowUpdate:
      windowUpdate(stream, payload);
      break;
    default:
      break;  // unknown kinds are to be ignored (section 4.1)
  }
}

void UnaryCall::data(uint8_t flags, std::string_view payload) {
  if (httpStatus_.empty()) throw CallError("an answer without headers");
  body_ += payload;
  if (body_.size() > kLargestReply) throw CallError("the answer is too large");
  if (flags & kEndStream) done_ = true;
}

void UnaryCall::headers(uint8_t flags, std::string_view payload) {
  if (flags & kPriority) {
    if (payload.size() < 5) throw CallError("a frame has the wrong length");
    payload.remove_prefix(5);
  }
  block_ = payload;
  inBlock_ = true;
  blockEndsStream_ = (flags & kEndStream) != 0;
  if (flags & kEndHeaders) fields(blockEndsStream_);
}

void UnaryCall::fields(bool last) {
  inBlock_ = false;
  const auto read = readFields(block_);
  if (!read) throw CallError("its headers cannot be read");
  for (const auto& [name, value] : *read) {
    if (name == ":status") httpStatus_ = value;
    else if (name == "grpc-status") grpcStatus_ = value;
    else if (name == "grpc-message") grpcMessage_ = percentDecoded(value);
  }
  if (last) done_ = true;
}

void UnaryCall::settings(uint8_t flags, std::string_view payload) {
  if (flags & kAck) return;
  if (payload.size() % 6 != 0) throw CallError("a frame has the wrong length");
  for (size_t at = 0; at < payload.size(); at += 6) {
    if (number(payload, at, 2) != kInitialWindowSize) continue;
    const int64_t size = number(payload, at + 2, 4);
    if (size > kLargestWindow) throw CallError("a window is too large");
    streamWindow_ += size - initialWindow_;
    initialWindow_ = size;
  }
  append(kSettings, kAck, 0, {});
  pump();
}

void UnaryCall::windowUpdate(uint32_t stream, std::string_view payload) {
  if (payload.size() != 4) throw CallError("a frame has the wrong length");
  if (stream > kStream) return;
  int64_t& window = stream == 0 ? connectionWindow_ : streamWindow_;
  window += number(payload, 0, 4) & 0x7fffffff;
  if (window > kLargestWindow) throw CallError("a window is too large");
  pump();
}

void UnaryCall::goAway(std::string_view payload) {
  if (payload.size() < 8) throw CallError("a frame has the wrong length");
  // One that still answers our call only wants no more of them.
  if ((number(payload, 0, 4) & 0x7fffffff) < kStream) throw CallError("the agent takes no more calls");
}

std::string UnaryCall::reply() const {
  if (httpStatus_ != "200") throw CallError("what answers is no gRPC server (HTTP status " + httpStatus_ + ")");
  if (grpcStatus_ != "0") {
    throw CallError("the agent refuses the call: " + grpcMessage_ + " (gRPC status " + (grpcStatus_.empty() ? "missing" : grpcStatus_) +
                    ")");
  }
  if (body_.size() < kMessageHead || body_[0] != '\0' || number(body_, 1, 4) != body_.size() - kMessageHead) {
    throw CallError("the answer is no gRPC message");
  }
  return body_.substr(kMessageHead);
}

}  // namespace pteropus::cni
