// One gRPC call over HTTP/2 (RFC 9113, and "gRPC over HTTP2" of the gRPC project) as a machine without input and output of its own:
// bytes that came in, bytes that are to go out. Everything read is bounded.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace pteropus::cni {

// What came cannot be an answer to the call; says why.
struct CallError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What was to be said was not: there is no way to the agent.
struct Unreachable : CallError {
  using CallError::CallError;
};

// Nobody listens: an agent that starts again, say, or that is gone.
struct NobodyListens : Unreachable {
  using Unreachable::Unreachable;
};

class UnaryCall {
 public:
  // `method`: `/package.Service/Method`.
  UnaryCall(std::string_view method, std::string_view message, int timeoutMs);

  // Takes in what came. Throws CallError.
  void receive(std::string_view bytes);

  // What is to be sent and was not yet; `sent` drops its first bytes.
  const std::string& output() const { return output_; }
  void sent(size_t bytes) { output_.erase(0, bytes); }

  // The server has said all. Then `reply` has its message, or throws CallError with what it says instead.
  bool done() const { return done_; }
  std::string reply() const;

 private:
  void frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
  void data(uint8_t flags, std::string_view payload);
  void headers(uint8_t flags, std::string_view payload);
  void fields(bool last);
  void settings(uint8_t flags, std::string_view payload);
  void windowUpdate(uint32_t stream, std::string_view payload);
  void goAway(std::string_view payload);
  void append(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
  // Sends as much of the message as the server has room for.
  void pump();

  std::string input_;
  std::string output_;
  // The message, and how much of it is still to be sent.
  std::string message_;
  size_t unsent_ = 0;
  // How much the server takes: on the connection, on our stream; the stream's may fall below zero (RFC 9113 section 6.9.2).
  int64_t connectionWindow_ = 65535;
  int64_t streamWindow_ = 65535;
  int64_t initialWindow_ = 65535;
  // A header block that is not whole yet; the next frame must go on with it.
  std::string block_;
  bool inBlock_ = false;
  bool blockEndsStream_ = false;

  std::string body_;
  std::string httpStatus_;
  std::string grpcStatus_;
  std::string grpcMessage_;
  bool done_ = false;
};

}  // namespace pteropus::cni
