// Whether one TAP sends segments, and nobody else has anything but its answers: then those two are read without asking all TAPs who has packets,
// which costs a call for each segment. Everybody is asked again soon.
#pragma once
#include <cstdint>

#include "common/layout.h"

namespace pteropus {

class Stream {
 public:
  // Everybody was asked, and so many have packets.
  void asked(uint32_t ready) {
    // The sender and who answers him.
    single_ = ready <= 2;
    segments_ = 0;
  }

  // A packet of so many bytes came from a TAP.
  void received(uint32_t port, uint32_t bytes) {
    if (bytes < SEGMENT) return;
    sender_ = port;
    segments_++;
  }

  // One left for a TAP.
  void sent(uint32_t port) {
    if (port != sender_) receiver_ = port;
  }

  // Before everybody is asked: whether the two are to be read instead.
  bool next() {
    if (single_ && segments_ == 1) left_ = ROUNDS;
    single_ = false;
    if (left_ == 0) return false;
    left_--;
    return true;
  }

  // They had nothing.
  void end() { left_ = 0; }

  uint32_t sender() const { return sender_; }
  uint32_t receiver() const { return receiver_; }

 private:
  static constexpr uint32_t SEGMENT = 32 * 1024;
  // Others wait a tenth of a millisecond at most.
  static constexpr uint32_t ROUNDS = 8;

  uint32_t sender_ = layout::PORT_NONE, receiver_ = layout::PORT_NONE;
  uint32_t segments_ = 0;  // since everybody was asked
  uint32_t left_ = 0;      // rounds until everybody is asked again
  bool single_ = false;    // at most two had packets then, and nothing follows from that yet
};

}  // namespace pteropus
