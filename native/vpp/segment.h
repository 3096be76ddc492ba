// The statistics segment of a VPP: its descriptor comes over a unix socket, its bytes are read and never written.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "common/fd.h"

namespace pteropus {

class StatsSegment {
 public:
  // Connects to VPP's stats socket (SOCK_SEQPACKET) and takes the memory it hands over. Throws SystemError.
  explicit StatsSegment(const std::string& socketPath);
  ~StatsSegment() { close(); }
  StatsSegment(const StatsSegment&) = delete;
  StatsSegment& operator=(const StatsSegment&) = delete;

  uint64_t size() const { return size_; }
  // Copies bytes out; each aligned word of 8 is read at once, so that a counter is never half an old and half a new one. False: they
  // do not lie in the segment, or it is closed.
  bool copy(uint64_t offset, uint8_t* into, size_t length) const;
  void close();

 private:
  Fd memory_;
  const uint8_t* map_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace pteropus
