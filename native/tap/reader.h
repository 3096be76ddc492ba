// The TAPs of one engine: which of them have packets, and the frame and the large buffer that the next packet will be read into.
#pragma once
#include <sys/epoll.h>

#include "afxdp/umem.h"
#include "common/fd.h"

namespace pteropus {

class TapReader {
 public:
  // A packet: `frame` is its first, `length` what lies in it, from `offset` on; the rest is in a large buffer.
  struct Packet {
    uint32_t frame = Umem::NONE;
    uint32_t offset = 0;
    uint32_t length = 0;
    uint32_t total = 0;
    uint32_t segment = 0;  // longest IP packet it is to be sent as; 0 = itself
  };
  enum class Read { Packet, Bad, Empty, Gone };

  explicit TapReader(Umem& umem);

  void add(int fd, uint32_t port);
  // Gives back what waits for packets with the last one.
  void remove(int fd);
  uint32_t count() const { return count_; }
  // Readable as soon as one of the TAPs is.
  int fd() const { return set_.get(); }

  // Looks for ports that have packets, unless some found before are left; without waiting.
  void look();
  // How many are left.
  uint32_t left() const { return found_ - next_; }
  // The next of them.
  uint32_t next() { return events_[next_++].data.u32; }
  // Takes one packet. Bad: one that cannot be as its header says, thrown away. Empty also when frames or large buffers are short: then
  // the packets wait in the kernel. Gone: the device has vanished.
  Read read(int fd, Packet& packet);

 private:
  static constexpr uint32_t READY = 64;

  bool prepare();

  Umem& umem_;
  Fd set_;
  uint32_t count_ = 0;
  uint32_t frame_ = Umem::NONE, large_ = Umem::NONE;  // what the next packet will be read into
  epoll_event events_[READY];     // ports that had packets: those from `next_` to `found_` are left
  uint32_t next_ = 0, found_ = 0;
};

}  // namespace pteropus
