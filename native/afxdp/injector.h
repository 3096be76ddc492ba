// Sends packets of many links by one call of the kernel for all of them: a TAP of our own, whose ingress program finds them in memory that
// it shares with us, and hands each to the link that it is for. Beside AF_XDP's transmission in copy mode, which makes each packet by itself and
// runs the receiver's softirq for it, this is a third less work where the receiver is a pod.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>

#include "afxdp/inject_program.h"
#include "common/fd.h"
#include "common/shared_value.h"

namespace pteropus {

class Injector {
 public:
  // Packets of these lengths, link header included, can be sent.
  static constexpr uint32_t SHORTEST = injected::SHORTEST, LONGEST = injected::LONGEST;

  // Makes the TAP, which is gone with this; nobody hears from it, and what is sent to it is dropped. Must run in the namespace of
  // the links. SystemError where the kernel cannot do this (tcx, 6.6; /dev/net/tun; CAP_NET_ADMIN and CAP_BPF).
  explicit Injector(const std::string& object);
  Injector(const Injector&) = delete;
  Injector& operator=(const Injector&) = delete;

  // Room for a packet of `length` bytes that leaves by this queue of the link with this index, to be filled before `flush`; null: the batch is full.
  uint8_t* add(uint32_t link, uint32_t queue, uint32_t port, uint32_t length);
  bool pending() const { return count_ > 0; }

  // The TAP was taken away or taken down, or its packets are handled on other cores: nothing leaves by it any more. Any thread may ask.
  bool broken() const { return broken_; }

  // Sends the batch, in order; when it returns all is done. Calls `lost(port)` for each packet that did not leave.
  template <typename Lost>
  void flush(Lost lost) {
    const uint32_t count = run();
    for (uint32_t i = 0; i < count; i++) {
      if (slots_[i].result != 0) lost(ports_[i]);
    }
  }

 private:
  // Has the program send the batch; how many packets it had.
  uint32_t run();

  SharedValue shared_;
  InjectSlot* slots_;
  Fd tap_;
  Fd program_;  // closed first
  uint32_t count_ = 0;
  uint32_t used_ = 0;
  uint32_t sequence_ = 0;
  uint32_t ports_[injected::MOST] = {};
  std::atomic<bool> broken_{false};
};

}  // namespace pteropus
