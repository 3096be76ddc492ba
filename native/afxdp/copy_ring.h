// Packets of one link as the kernel's program copies them (copy_program.h). For a packet from a pod this is much less work than XDP, for which
// a veth copies it into a page first, in a softirq of its own.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "afxdp/copy_program.h"
#include "common/fd.h"
#include "common/shared_value.h"
#include "common/waker.h"

namespace pteropus {

// Shared by all rings of a worker.
class CopyState {
 public:
  explicit CopyState(const std::string& object);
  CopyState(const CopyState&) = delete;
  CopyState& operator=(const CopyState&) = delete;
  ~CopyState();

  const Fd& map() const { return value_.map(); }
  const Fd& wake() const { return wake_; }
  // While it is set, the first packet makes `wake` readable. Look into the rings between setting it and waiting.
  void setAsleep(bool asleep) { __atomic_store_n(&note().asleep, asleep ? 1u : 0u, __ATOMIC_SEQ_CST); }
  // Has `wake` readable no more; after setAsleep(false).
  void woken() { __atomic_store_n(consumer_, __atomic_load_n(producer_, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE); }
  // Who sent the first packet, which made `wake` readable, once.
  std::optional<Waker> takeWaker() { return pteropus::takeWaker(note()); }
  uint64_t lost(uint32_t port) const;

 private:
  WakeNote& note() { return *value_.at<WakeNote>(0); }

  SharedValue value_;
  Fd wake_;
  uint64_t* consumer_ = nullptr;
  const uint64_t* producer_ = nullptr;
};

class CopyRing {
 public:
  struct Packet {
    const uint8_t* bytes;
    uint32_t length;  // 0: there is none
    uint32_t tag;     // as in CopyDescriptor
  };

  // Attaches the program to the link's ingress; must run in its namespace. SystemError where the kernel cannot do that.
  CopyRing(std::shared_ptr<CopyState> state, uint32_t port, uint32_t ifindex, const std::string& object);
  CopyRing(const CopyRing&) = delete;
  CopyRing& operator=(const CopyRing&) = delete;

  // `next` finds something.
  bool ready() const { return __atomic_load_n(&descriptor()->turn, __ATOMIC_ACQUIRE) == static_cast<uint32_t>(own_) + 1; }
  // Something was put there, or is about to be. Who asks slows down who sends.
  bool stirs() const { return __atomic_load_n(ring_.at<uint64_t>(copyring::HEAD), __ATOMIC_SEQ_CST) != own_; }
  // The next packet, which stays until `pass` and `release`.
  Packet next();
  void pass() { own_ += copyring::place(descriptor()->lines); }
  // Gives the room of what was passed back to the program.
  void release() { __atomic_store_n(ring_.at<uint64_t>(copyring::TAIL), own_, __ATOMIC_RELEASE); }
  // Packets that the program could not copy, since it was opened.
  uint64_t lost() const { return state_->lost(port_) - lostBefore_; }
  CopyState& state() const { return *state_; }

 private:
  const CopyDescriptor* descriptor() const {
    return ring_.at<CopyDescriptor>(copyring::DESCRIPTORS) + (own_ & (copyring::LINES - 1));
  }

  std::shared_ptr<CopyState> state_;
  const uint32_t port_;
  const uint64_t lostBefore_;
  SharedValue ring_;
  Fd link_;  // closed first: no packet comes then
  uint64_t own_ = 0;
};

}  // namespace pteropus
