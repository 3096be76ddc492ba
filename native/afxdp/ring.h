// One ring shared with the kernel: single producer, single consumer, free-running 32-bit indices (Documentation/networking/af_xdp.rst).
#pragma once
#include <sys/mman.h>

#include <cstdint>
#include <utility>

namespace pteropus {

template <typename Entry>
class Ring {
 public:
  Ring() = default;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() {
    if (map_ != nullptr) munmap(map_, length_);
  }

  // `map` is the mapped ring and now owned; the offsets are the kernel's (XDP_MMAP_OFFSETS).
  template <typename Offsets>
  void adopt(void* map, size_t length, const Offsets& offsets, uint32_t size) {
    map_ = map;
    length_ = length;
    auto* base = static_cast<uint8_t*>(map);
    producer_ = reinterpret_cast<uint32_t*>(base + offsets.producer);
    consumer_ = reinterpret_cast<uint32_t*>(base + offsets.consumer);
    entries_ = reinterpret_cast<Entry*>(base + offsets.desc);
    size_ = size;
    mask_ = size - 1;
  }

  uint32_t size() const { return size_; }
  Entry& at(uint32_t index) { return entries_[index & mask_]; }

  // We consume (rx, completion): [head, head + ready) may be read, then released.
  uint32_t ready() const { return __atomic_load_n(producer_, __ATOMIC_ACQUIRE) - own_; }
  // We produce (fill, tx): entries the kernel has not taken yet.
  uint32_t untaken() const { return own_ - __atomic_load_n(consumer_, __ATOMIC_ACQUIRE); }
  uint32_t space() const { return size_ - untaken(); }

  uint32_t head() const { return own_; }
  void consume(uint32_t count) { __atomic_store_n(consumer_, own_ += count, __ATOMIC_RELEASE); }
  // Entries written behind `head` become the kernel's only by `publish`.
  void produce(uint32_t count) { own_ += count; }
  void publish() { __atomic_store_n(producer_, own_, __ATOMIC_RELEASE); }

 private:
  void* map_ = nullptr;
  size_t length_ = 0;
  uint32_t* producer_ = nullptr;
  uint32_t* consumer_ = nullptr;
  Entry* entries_ = nullptr;
  uint32_t size_ = 0;
  uint32_t mask_ = 0;
  uint32_t own_ = 0;
};

}  // namespace pteropus
