#include "tap/berth.h"

#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstddef>

#include "common/bpf.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/slice.h"

namespace pteropus {

namespace {

// What of a packet is to be kept: all of it.
constexpr int32_t WHOLE = 0x7fffffff;
// Who sends the first packet after a pause of so many nanoseconds is who counts, not who answers: an answer may take a millisecond or two
// where its sender waited for a core.
constexpr uint64_t PAUSE = 3000000;
// Unless nobody sends on that core any more: after so many packets from others.
constexpr uint32_t MOVED = 16;

// Waiting for the core longer than this many nanoseconds is waiting for somebody who computes, not for one who is about to wait.
constexpr uint64_t LATE = 100000;
// That is certain when it was so as many times in a row: once in a while something else takes the core.
constexpr uint32_t CERTAIN = 3;
constexpr uint32_t MOST_PROMPT = 4096;

// Writes down who sends, and keeps the packet.
Fd loadProgram(const Fd& map) {
  Code code;
  code.land(noteWaker(code, map));
  code.set(R0, WHOLE);
  code.exit();
  const std::vector<bpf_insn>& all = code.instructions();
  bpf_attr a = programAttributes(BPF_PROG_TYPE_SOCKET_FILTER, all.data(), all.size());
  return Fd(bpf(BPF_PROG_LOAD, a));
}

}  // namespace

Berth::Berth() {
  try {
    note_ = memory_.emplace(sizeof(WakeNote), "berth").at<WakeNote>(0);
  } catch (const SystemError&) {
    return;
  }
  program_ = loadProgram(memory_->map());
}

Berth::~Berth() { roam(); }

void Berth::watch(int tap) const {
  if (!program_.open()) return;
  int program = program_.get();
  ioctl(tap, TUNSETFILTEREBPF, &program);
}

void Berth::enter() {
  if (here_ != last_) stay();
  defer(here_ != NOBODY && promptLeft_ == 0);
  if (promptLeft_ > 0) promptLeft_--;
  began_ = nanoseconds();
  if (note_ == nullptr) return;
  __atomic_store_n(&note_->core, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&note_->asleep, 1, __ATOMIC_SEQ_CST);
}

bool Berth::leave(std::optional<Waker> other) {
  if (note_ != nullptr) __atomic_store_n(&note_->asleep, 0, __ATOMIC_RELAXED);
  if (!other && note_ != nullptr) other = takeWaker(*note_);
  if (!other) return false;
  const uint64_t now = nanoseconds();
  const uint32_t core = other->core;
  const bool far = core != here_;
  if (ownSlice_ && !far) judge(now - other->at);
  elsewhere_ = far ? elsewhere_ + 1 : 0;
  if (other->at < began_ + PAUSE && elsewhere_ < MOVED) return far;
  elsewhere_ = 0;
  last_ = core;
  return far;
}

void Berth::stay() {
  if (last_ >= CPU_SETSIZE) return;
  if (here_ == NOBODY && sched_getaffinity(0, sizeof allowed_, &allowed_) < 0) return;
  if (!CPU_ISSET(last_, &allowed_)) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(last_, &one);
  if (sched_setaffinity(0, sizeof one, &one) == 0) here_ = last_;
}

// Woken by somebody who sends and then waits for an answer, the thread lets him: with slices as long as his it runs once he has left the core, and
// whoever it wakes then stays on that core too. Coming first it would find two on the core, and the scheduler sends whoever is woken to
// another one. Who had the core for longer than a slice it does not wait for. A thread of a real-time class comes first whatever its slice is.
void Berth::defer(bool defers) {
  if (defers == ownSlice_.has_value()) return;
  if (defers) {
    ownSlice_ = exchangeSlice(0);
  } else {
    exchangeSlice(*ownSlice_);
    ownSlice_.reset();
  }
}

// Somebody who goes on computing after he sent would hold packets up until the next tick: then the thread comes first again, the longer the
// oftener that was so.
void Berth::judge(uint64_t waited) {
  if (waited <= LATE) {
    late_ = 0;
    promptNext_ = FEWEST_PROMPT;
    return;
  }
  // Who was found out before is known.
  if (++late_ < CERTAIN && promptNext_ == FEWEST_PROMPT) return;
  late_ = 0;
  promptLeft_ = promptNext_;
  promptNext_ = std::min(promptNext_ * 2, MOST_PROMPT);
}

void Berth::roam() {
  if (here_ == NOBODY) return;
  defer(false);
  here_ = NOBODY;
  sched_setaffinity(0, sizeof allowed_, &allowed_);
}

}  // namespace pteropus
