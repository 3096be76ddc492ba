// Who ended a sleep of a worker.
#pragma once
#include <cstdint>

namespace pteropus {

struct Waker {
  uint32_t core;  // that the first packet was sent on
  uint64_t at;    // when, in nanoseconds of CLOCK_MONOTONIC
};

}  // namespace pteropus
