#include "tap/reader.h"

#include <algorithm>
#include <functional>

#include "common/error.h"
#include "common/layout.h"
#include "tap/offload.h"

namespace pteropus {

namespace {

using layout::HEADROOM;

// Ethernet header and the longest IPv4 packet.
constexpr uint32_t LONGEST = 14 + 65535;
constexpr uint32_t ETHERNET = 14;

}  // namespace

TapReader::TapReader(Umem& umem)
    : umem_(umem),
      set_(check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1", "tap")),
      needed_((HEADROOM + LONGEST + umem.frameSize() - 1) / umem.frameSize()),
      parts_(1) {
  frames_.reserve(needed_);
  parts_.reserve(needed_ + 1);
}

void TapReader::add(int fd, uint32_t port) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = port;
  check(epoll_ctl(set_.get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl", "tap");
  count_++;
}

void TapReader::remove(int fd) {
  // Nothing is left to do for one that the kernel took out already.
  epoll_ctl(set_.get(), EPOLL_CTL_DEL, fd, nullptr);
  next_ = found_ = 0;
  if (--count_ > 0) return;
  for (const uint32_t frame : frames_) umem_.release(frame);
  frames_.clear();
}

void TapReader::look() {
  if (left() > 0) return;
  next_ = 0;
  found_ = static_cast<uint32_t>(std::max(epoll_wait(set_.get(), events_, READY, 0), 0));
}

// Room for the longest packet, but never the last frames: those are for sending what is here already.
bool TapReader::prepare() {
  if (umem_.available() < umem_.count() / 8) return false;
  if (frames_.size() == needed_) return true;
  while (frames_.size() < needed_) {
    const uint32_t frame = umem_.take(Umem::TAPS);
    if (frame == Umem::NONE) return false;
    frames_.push_back(frame);
  }
  // Neighbors in memory become neighbors in the packet: the kernel copies to few long parts faster than to many short ones.
  std::sort(frames_.begin(), frames_.end(), std::greater<uint32_t>());
  list();
  return true;
}

// The parts that a packet is read into: the place of its header, which `read` puts first, and the waiting frames.
void TapReader::list() {
  parts_.resize(1);
  uint64_t end = 0;  // of the last part, from the frames' base
  for (uint32_t i = 0; i < needed_; i++) {
    const uint32_t skip = i == 0 ? HEADROOM : 0;
    const uint64_t begin = umem_.offsetOf(frames_[needed_ - 1 - i]) + skip;
    const uint32_t length = umem_.frameSize() - skip;
    if (i > 0 && begin == end) parts_.back().iov_len += length;
    else parts_.push_back({umem_.base() + begin, length});
    end = begin + length;
  }
}

TapReader::Read TapReader::read(int fd, Packet& packet) {
  if (!prepare()) return Read::Empty;
  VnetHeader header;
  parts_[0] = {&header, sizeof header};
  const ssize_t got = readv(fd, parts_.data(), static_cast<int>(parts_.size()));
  if (got < 0) return errno == EAGAIN || errno == EINTR ? Read::Empty : Read::Gone;
  const auto length = static_cast<uint32_t>(got);
  if (length < sizeof header + ETHERNET || length > sizeof header + LONGEST) return Read::Bad;
  packet = {};
  packet.total = length - static_cast<uint32_t>(sizeof header);
  packet.length = std::min<uint32_t>(packet.total, umem_.frameSize() - HEADROOM);
  packet.offset = static_cast<uint32_t>(umem_.offsetOf(frames_.back())) + HEADROOM;
  const uint8_t* bytes = umem_.base() + packet.offset;
  Offload offload;
  if (!readOffload(header, bytes, packet.length, packet.total, packet.offset, offload)) return Read::Bad;
  if (offload.segment != 0) {
    const uint32_t start = header.checksumStart;
    packet.segment = start - ETHERNET + transportHeader(offload, bytes, packet.length, start) + offload.segment;
  }
  chain(packet.total, packet);
  umem_.segment(packet.frame).offload = offload;
  return Read::Packet;
}

// Takes the frames that were filled out of the waiting ones, from the last to the first, so that each knows its successor.
void TapReader::chain(uint32_t total, Packet& packet) {
  const uint32_t size = umem_.frameSize();
  const uint32_t used = (HEADROOM + total + size - 1) / size;
  uint32_t next = Umem::NONE;
  for (uint32_t i = used; i-- > 0;) {
    const uint32_t frame = frames_[needed_ - 1 - i];
    const uint32_t begin = i == 0 ? HEADROOM : 0;
    const uint32_t end = std::min(size, HEADROOM + total - i * size);
    umem_.give(frame, Umem::CALLER);
    umem_.segment(frame) = {next, static_cast<uint32_t>(umem_.offsetOf(frame)) + begin, end - begin, {}};
    next = frame;
  }
  frames_.resize(needed_ - used);
  packet.frame = next;
}

}  // namespace pteropus
