// Where a worker sleeps: on the core whose packet woke it last. Who sends and then waits for an answer leaves that core to whoever is woken
// on it; waking a thread on another core costs an interrupt between cores each way, tens of microseconds on a virtual machine, and the
// scheduler prefers another core as long as one is idle.
#pragma once
#include <sched.h>

#include <cstdint>
#include <optional>

#include "common/fd.h"
#include "common/shared_value.h"
#include "common/waker.h"

namespace pteropus {

class Berth {
 public:
  Berth();
  ~Berth();
  Berth(const Berth&) = delete;
  Berth& operator=(const Berth&) = delete;

  // Has the program look at a TAP's packets (TUNSETFILTEREBPF). Without the right to, or on a kernel before 5.5, it does nothing: the worker then sleeps
  // wherever it is. Callable from any thread.
  void watch(int tap) const;

  // Around a sleep of the calling thread, which is always the same. `other`: who woke us if it was no TAP's packet. Afterwards
  // true if it was somebody on another core than ours.
  void enter();
  bool leave(std::optional<Waker> other);
  // From now on the thread may run everywhere, until it sleeps again.
  void roam();

 private:
  static constexpr uint32_t NOBODY = 0xffffffff;
  static constexpr uint32_t FEWEST_PROMPT = 64;

  void stay();
  void defer(bool defers);
  void judge(uint64_t waited);

  std::optional<SharedValue> memory_;  // of the note; without it there is none
  Fd program_;
  WakeNote* note_ = nullptr;
  uint32_t last_ = NOBODY;  // core that woke us from the last pause
  uint32_t here_ = NOBODY;  // core that the thread is bound to, by us
  uint32_t elsewhere_ = 0;  // sleeps in a row that were ended from another core
  uint64_t began_ = 0;
  std::optional<uint64_t> ownSlice_;  // the thread's, nanoseconds, while it has the scheduler's instead, by us
  uint32_t late_ = 0;        // sleeps in a row that it waited too long after
  uint32_t promptLeft_ = 0;  // so many sleeps more it comes first all the same
  uint32_t promptNext_ = FEWEST_PROMPT;  // so many when it waits too long the next time
  cpu_set_t allowed_{};
};

}  // namespace pteropus
