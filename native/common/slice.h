// How long the scheduler lets a thread have the core at a time (sched_setattr(2), Linux 6.12; a kernel before that takes it and does nothing
// with it). A thread with a shorter slice than the one that runs comes before it when it is woken.
#pragma once
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <optional>

namespace pteropus {

// struct sched_attr of sched_setattr(2), which glibc does not declare before 2.41.
struct SchedulingAttributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

inline std::optional<SchedulingAttributes> schedulingOfThread() {
  SchedulingAttributes attributes{};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return std::nullopt;
  attributes.size = sizeof attributes;
  return attributes;
}

// Gives the calling thread slices of so many nanoseconds, 0: the scheduler's own; nothing else about it changes. The one that it had, or nothing
// where it could not be.
inline std::optional<uint64_t> exchangeSlice(uint64_t slice) {
  std::optional<SchedulingAttributes> attributes = schedulingOfThread();
  if (!attributes) return std::nullopt;
  const uint64_t before = attributes->runtime;
  attributes->runtime = slice;
  if (syscall(SYS_sched_setattr, 0, &*attributes, 0) != 0) return std::nullopt;
  return before;
}

}  // namespace pteropus
