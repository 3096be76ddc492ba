#include "tap/reader.h"

#include <sys/uio.h>

#include <algorithm>

#include "common/error.h"
#include "common/layout.h"
#include "tap/offload.h"

namespace pteropus {

namespace {

using layout::HEADROOM;

// Ethernet header and the longest IPv4 packet.
constexpr uint32_t LONGEST = 14 + 65535;
constexpr uint32_t ETHERNET = 14;
// As many as a batch of TAPs' packets has at most.
constexpr uint32_t LARGE_BUFFERS = 16;

}  // namespace

TapReader::TapReader(Umem& umem) : umem_(umem), set_(check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1", "tap")) {}

void TapReader::add(int fd, uint32_t port) {
  umem_.makeLarge(LARGE_BUFFERS);
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
  for (const uint32_t waiting : {frame_, large_})
    if (waiting != Umem::NONE) umem_.release(waiting);
  frame_ = large_ = Umem::NONE;
}

void TapReader::look() {
  if (left() > 0) return;
  next_ = 0;
  found_ = static_cast<uint32_t>(std::max(epoll_wait(set_.get(), events_, READY, 0), 0));
}

// Room for the longest packet, but never the last frames: those are for sending what is here already.
bool TapReader::prepare() {
  if (umem_.available() < umem_.count() / 8) return false;
  if (frame_ == Umem::NONE) frame_ = umem_.take(Umem::TAPS);
  if (large_ == Umem::NONE) large_ = umem_.takeLarge(Umem::TAPS);
  return frame_ != Umem::NONE && large_ != Umem::NONE;
}

TapReader::Read TapReader::read(int fd, Packet& packet) {
  if (!prepare()) return Read::Empty;
  const uint32_t room = umem_.frameSize() - HEADROOM;
  packet = {};
  packet.frame = frame_;
  packet.offset = static_cast<uint32_t>(umem_.offsetOf(frame_)) + HEADROOM;
  uint8_t* bytes = umem_.base() + packet.offset;
  umem_.segment(large_) = {};
  VnetHeader header;
  const iovec parts[] = {{&header, sizeof header}, {bytes, room}, {umem_.bytesOf(large_), Umem::LARGE}};
  const ssize_t got = readv(fd, parts, 3);
  if (got < 0) return errno == EAGAIN || errno == EINTR ? Read::Empty : Read::Gone;
  const auto length = static_cast<uint32_t>(got);
  if (length < sizeof header + ETHERNET || length > sizeof header + LONGEST) return Read::Bad;
  packet.total = length - static_cast<uint32_t>(sizeof header);
  packet.length = std::min(packet.total, room);
  Offload offload;
  if (!readOffload(header, bytes, packet.length, packet.total, packet.offset, offload)) return Read::Bad;
  if (offload.segment != 0) {
    const uint32_t start = header.checksumStart;
    packet.segment = start - ETHERNET + transportHeader(offload, bytes, packet.length, start) + offload.segment;
  }
  umem_.segment(frame_) = {Umem::NONE, packet.offset, packet.length, offload};
  umem_.give(frame_, Umem::CALLER);
  if (packet.total > packet.length) {
    umem_.segment(frame_).next = large_;
    umem_.segment(large_).length = packet.total - packet.length;
    umem_.give(large_, Umem::CALLER);
    large_ = Umem::NONE;
  }
  frame_ = Umem::NONE;
  return Read::Packet;
}

}  // namespace pteropus
