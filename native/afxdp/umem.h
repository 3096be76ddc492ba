// The packet buffers: frames of the WebAssembly memory, who holds each of them, and chains of frames of one packet. A TAP's packet has
// what is behind its first frame in one large buffer beside that memory: it is copied faster as one part, and the pipeline never reads it.
// Frames lie FRAME_GAP apart.
//
// Every frame has exactly one owner at any time: the free list, the caller (it is in the packet vector), or one socket
// (fill ring, kernel, rx ring, tx ring or completion ring), or the TAPs. So a closed socket's frames are found again, and none is lost.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "common/layout.h"
#include "tap/offload.h"

namespace pteropus {

class Umem {
 public:
  static constexpr uint32_t NONE = 0xffffffff;
  static constexpr uint16_t FREE = 0xffff;
  static constexpr uint16_t CALLER = 0xfffe;
  static constexpr uint16_t TAPS = 0xfffd;  // they wait for what the next TAP's packet will be
  static constexpr uint16_t MAX_SOCKETS = 0xfffc;
  // Of a large buffer, bytes: the longest IPv4 packet without what is in the first frame.
  static constexpr uint32_t LARGE = 64 * 1024;

  // A segment of a packet behind its first one: where its bytes lie and the frame that follows.
  struct Segment {
    uint32_t next = NONE;
    uint32_t offset = 0;  // from `base`, or from the large buffer's begin
    uint32_t length = 0;
    Offload offload = {};  // of the packet that begins in this frame
  };

  Umem(uint8_t* base, uint32_t frameSize, uint32_t count)
      : base_(base), size_(frameSize), step_(stepOf(frameSize)), count_(count), owner_(count, FREE), segment_(count) {
    free_.reserve(count);
    // Taken from the end: the first frames first, so that few frames in use are few pages.
    for (uint32_t frame = count; frame-- > 0;) free_.push_back(frame);
  }

  // Bytes from one frame to the next.
  static constexpr uint32_t stepOf(uint32_t frameSize) { return frameSize + layout::FRAME_GAP; }

  uint8_t* base() const { return base_; }
  uint32_t frameSize() const { return size_; }
  uint32_t count() const { return count_; }
  uint64_t bytes() const { return static_cast<uint64_t>(count_) * step_; }
  uint32_t frameOf(uint64_t offset) const { return static_cast<uint32_t>(offset / step_); }
  uint64_t offsetOf(uint32_t frame) const { return static_cast<uint64_t>(frame) * step_; }
  Segment& segment(uint32_t frame) { return segment_[frame]; }

  uint32_t available() const { return static_cast<uint32_t>(free_.size()); }
  uint16_t owner(uint32_t frame) const { return owner_[frame]; }
  void give(uint32_t frame, uint16_t owner) { owner_[frame] = owner; }

  // A free frame for `owner`, or NONE.
  uint32_t take(uint16_t owner) { return takeFrom(free_, owner); }

  // Makes so many large buffers, once; they are numbered behind the frames. Those that are never used take no memory.
  void makeLarge(uint32_t count) {
    if (large_) return;
    large_.reset(new Large[count]);
    owner_.resize(count_ + count, FREE);
    segment_.resize(count_ + count);
    freeLarge_.reserve(count);
    for (uint32_t i = count; i-- > 0;) freeLarge_.push_back(count_ + i);
  }

  bool isLarge(uint32_t frame) const { return frame >= count_ && frame != NONE; }

  // The one that was given back last, which is in the core's caches still, or NONE.
  uint32_t takeLarge(uint16_t owner) { return takeFrom(freeLarge_, owner); }

  // Where the bytes of a segment lie.
  uint8_t* bytesOf(uint32_t frame) { return (isLarge(frame) ? large_[frame - count_].bytes : base_) + segment_[frame].offset; }

  void release(uint32_t frame) {
    owner_[frame] = FREE;
    (isLarge(frame) ? freeLarge_ : free_).push_back(frame);
  }

  // Frees a packet in the caller's hands; a frame that is not (named twice, never given) is left alone and false returned.
  bool releaseChain(uint32_t frame) {
    if (frame >= owner_.size()) return false;
    while (frame != NONE) {
      if (owner_[frame] != CALLER) return false;
      const uint32_t next = segment_[frame].next;
      release(frame);
      frame = next;
    }
    return true;
  }

  // Takes back everything a closed socket held.
  void reclaim(uint16_t owner) {
    for (uint32_t frame = 0; frame < count_; frame++) {
      if (owner_[frame] == owner) release(frame);
    }
  }

 private:
  // Begins with a page, so that a copy crosses no more of them than it must.
  struct alignas(4096) Large {
    uint8_t bytes[LARGE];
  };

  uint32_t takeFrom(std::vector<uint32_t>& list, uint16_t owner) {
    if (list.empty()) return NONE;
    const uint32_t frame = list.back();
    list.pop_back();
    owner_[frame] = owner;
    return frame;
  }

  uint8_t* base_;
  uint32_t size_, step_;
  uint32_t count_;
  std::unique_ptr<Large[]> large_;
  std::vector<uint32_t> free_, freeLarge_;
  std::vector<uint16_t> owner_;
  std::vector<Segment> segment_;
};

}  // namespace pteropus
