// Who ended a sleep of a worker: what a program that sees each packet writes down for us, in memory of a map.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/bpf_code.h"

namespace pteropus {

// The begin of the map's value.
struct WakeNote {
  uint32_t asleep;  // the worker waits; the first one who sends takes it back
  uint32_t core;    // that he sent on, and one; 0: nobody did
  uint64_t at;      // when, in nanoseconds of CLOCK_MONOTONIC
};

struct Waker {
  uint32_t core;
  uint64_t at;  // as above
};

// if (note.asleep) { note.asleep = 0; note.at = the time; note.core = the number of this core, and one }. While the worker is awake the note is only
// read, so that senders on many cores do not take its line from each other. Uses R0 to R5; what follows is for who wakes it, until the jump
// that is returned lands.
inline size_t noteWaker(Code& code, const Fd& map) {
  code.value(R1, map, offsetof(WakeNote, asleep));
  code.load(R2, R1, 0);
  const size_t awake = code.jump(BPF_JEQ, R2, 0);
  // One wake-up is enough.
  code.zero(R1, 0, BPF_W);
  code.call(BPF_FUNC_ktime_get_ns);
  code.value(R1, map, offsetof(WakeNote, at));
  code.store(R1, 0, R0, BPF_DW);
  code.call(BPF_FUNC_get_smp_processor_id);
  code.add(R0, 1);
  code.value(R1, map, offsetof(WakeNote, core));
  code.store(R1, 0, R0);
  return awake;
}

// Once.
inline std::optional<Waker> takeWaker(WakeNote& note) {
  const uint32_t core = __atomic_exchange_n(&note.core, 0, __ATOMIC_RELAXED);
  if (core == 0) return std::nullopt;
  return Waker{core - 1, __atomic_load_n(&note.at, __ATOMIC_RELAXED)};
}

}  // namespace pteropus
