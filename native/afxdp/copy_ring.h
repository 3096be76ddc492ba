// Packets of one link as the kernel's program copies them (copy_program.h): a BPF_MAP_TYPE_RINGBUF, which is one ring of bytes. For a
// packet from a pod this is much less work than XDP, for which a veth copies it into a page first, in a softirq of its own.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/fd.h"

namespace pteropus {

// Shared by all rings of a worker.
class CopyState {
 public:
  explicit CopyState(const std::string& object);
  CopyState(const CopyState&) = delete;
  CopyState& operator=(const CopyState&) = delete;
  ~CopyState();

  const Fd& map() const { return map_; }
  // While it is set, a packet signals its ring's descriptor, which no other packet does. Look into the rings between setting it and waiting.
  void setAsleep(bool asleep) { __atomic_store_n(asleep_, asleep ? 1u : 0u, __ATOMIC_SEQ_CST); }
  // The core on which a ring's descriptor was signalled, once.
  std::optional<uint32_t> takeCore();
  uint64_t lost(uint32_t port) const;

 private:
  Fd map_;
  uint8_t* bytes_;
  uint32_t* asleep_;
  uint32_t* core_;
};

class CopyRing {
 public:
  struct Packet {
    const uint8_t* bytes;
    uint32_t length;  // 0: there is none
    uint32_t tag;     // as in CopyHeader
  };

  // Attaches the program to the link's ingress; must run in its namespace. SystemError where the kernel cannot do that.
  CopyRing(std::shared_ptr<CopyState> state, uint32_t port, uint32_t ifindex, const std::string& object);
  CopyRing(const CopyRing&) = delete;
  CopyRing& operator=(const CopyRing&) = delete;
  ~CopyRing();

  // Readable when something was put there while the worker was asleep.
  int fd() const { return map_.get(); }
  // Something was put there, or is about to be.
  bool stirs() const { return __atomic_load_n(producer_, __ATOMIC_SEQ_CST) != own_; }
  // The next packet, which stays until `pass` and `release`.
  Packet next();
  void pass() { own_ += step_; }
  // Gives the room of what was passed back to the kernel.
  void release() { __atomic_store_n(consumer_, own_, __ATOMIC_RELEASE); }
  // Packets that the program could not copy, since it was opened.
  uint64_t lost() const { return state_->lost(port_) - lostBefore_; }
  CopyState& state() const { return *state_; }

 private:
  std::shared_ptr<CopyState> state_;
  const uint32_t port_;
  const uint64_t lostBefore_;
  Fd map_;
  Fd link_;  // closed first: no packet comes then
  uint64_t* consumer_ = nullptr;
  const uint64_t* producer_ = nullptr;
  const uint8_t* data_ = nullptr;
  uint64_t own_ = 0;
  uint32_t step_ = 0;  // bytes of the entry that `next` found
};

}  // namespace pteropus
