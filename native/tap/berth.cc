#include "tap/berth.h"

#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstddef>

#include "common/bpf.h"
#include "common/clock.h"
#include "common/error.h"

namespace pteropus {

namespace {

// What of a packet is to be kept: all of it.
constexpr int32_t WHOLE = 0x7fffffff;
// Who sends the first packet after a sleep of so many nanoseconds is who counts, not who answers.
constexpr uint64_t PAUSE = 1000000;
// Unless nobody sends on that core any more: after so many packets from others.
constexpr uint32_t MOVED = 16;

// Waiting for the core longer than this many nanoseconds is waiting for somebody who computes, not for one who is about to wait.
constexpr uint64_t LATE = 100000;
constexpr uint32_t MOST_PROMPT = 4096;

// if (note->asleep && note->core == NOBODY) { note->at = the time; note->core = the number of this core }; return WHOLE. While the worker is
// awake the note is only read, so that senders on many cores do not take its line from each other.
Fd loadProgram(const Fd& map, int32_t nobody) {
  const bpf_insn code[] = {
      {BPF_LD | BPF_DW | BPF_IMM, 6, BPF_PSEUDO_MAP_VALUE, 0, map.get()},  // r6 = note
      {0, 0, 0, 0, 0},                                                     // second half of the 64-bit constant: offset in the value
      {BPF_LDX | BPF_W | BPF_MEM, 0, 6, offsetof(Note, asleep), 0},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 6, 0},
      {BPF_LDX | BPF_W | BPF_MEM, 0, 6, offsetof(Note, core), 0},
      {BPF_JMP32 | BPF_JNE | BPF_K, 0, 0, 4, nobody},
      {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns},
      {BPF_STX | BPF_DW | BPF_MEM, 6, 0, offsetof(Note, at), 0},
      {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_smp_processor_id},
      {BPF_STX | BPF_W | BPF_MEM, 6, 0, offsetof(Note, core), 0},
      {BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, WHOLE},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  bpf_attr a = programAttributes(BPF_PROG_TYPE_SOCKET_FILTER, code, sizeof code / sizeof *code);
  return Fd(bpf(BPF_PROG_LOAD, a));
}

}  // namespace

Berth::Berth() {
  try {
    note_ = memory_.emplace(sizeof(Note), "berth").at<Note>(0);
  } catch (const SystemError&) {
    return;
  }
  program_ = loadProgram(memory_->map(), static_cast<int32_t>(NOBODY));
}

Berth::~Berth() { roam(); }

void Berth::watch(int tap) const {
  if (!program_.open()) return;
  int program = program_.get();
  ioctl(tap, TUNSETFILTEREBPF, &program);
}

void Berth::enter() {
  if (here_ != last_) stay();
  defer(here_ != NOBODY && prompt_ == 0);
  if (prompt_ > 0) prompt_--;
  began_ = nanoseconds();
  if (note_ == nullptr) return;
  __atomic_store_n(&note_->core, NOBODY, __ATOMIC_RELAXED);
  __atomic_store_n(&note_->asleep, 1, __ATOMIC_SEQ_CST);
}

bool Berth::leave(std::optional<Waker> other) {
  if (note_ != nullptr) __atomic_store_n(&note_->asleep, 0, __ATOMIC_RELAXED);
  if (!other && note_ != nullptr) other = Waker{__atomic_load_n(&note_->core, __ATOMIC_RELAXED), __atomic_load_n(&note_->at, __ATOMIC_RELAXED)};
  if (!other || other->core == NOBODY) return false;
  judge(other->at);
  const uint32_t core = other->core;
  const bool far = core != here_;
  elsewhere_ = far ? elsewhere_ + 1 : 0;
  if (nanoseconds() - began_ < PAUSE && elsewhere_ < MOVED) return far;
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

// Woken by somebody who sends and then waits for an answer, the thread lets him: with SCHED_BATCH it runs once he has left the core, and whoever
// it wakes then stays on that core too. Coming first it would find two on the core, and the scheduler sends whoever is woken to another one. A
// thread of a real-time class stays what it is.
void Berth::defer(bool defers) {
  if (defers == defers_ || sched_getscheduler(0) != (defers_ ? SCHED_BATCH : SCHED_OTHER)) return;
  const sched_param none{};
  if (sched_setscheduler(0, defers ? SCHED_BATCH : SCHED_OTHER, &none) == 0) defers_ = defers;
}

// Somebody who goes on computing after he sent would hold packets up until the next tick: then the thread comes first again, the longer the
// oftener that was so.
void Berth::judge(uint64_t at) {
  if (!defers_) return;
  if (nanoseconds() - at > LATE) {
    prompt_ = prompts_;
    prompts_ = std::min(prompts_ * 2, MOST_PROMPT);
  } else {
    prompts_ = FEWEST_PROMPT;
  }
}

void Berth::roam() {
  if (here_ == NOBODY) return;
  defer(false);
  here_ = NOBODY;
  sched_setaffinity(0, sizeof allowed_, &allowed_);
}

}  // namespace pteropus
