#include "afxdp/copy_ring.h"

#include <sys/mman.h>

#include <utility>

#include "common/bpf.h"
#include "common/error.h"
#include "common/layout.h"

namespace pteropus {

namespace {

constexpr uint32_t PAGE = 4096;
constexpr uint32_t STATE_BYTES = copystate::LOST + layout::MAX_PORTS * sizeof(uint64_t);

Fd createWake(const std::string& object) {
  bpf_attr a = noAttributes();
  a.map_type = BPF_MAP_TYPE_RINGBUF;
  a.max_entries = PAGE;
  return Fd(check(bpf(BPF_MAP_CREATE, a), "BPF_MAP_CREATE", object));
}

void* mapPages(const Fd& map, size_t length, int protection, off_t offset, const std::string& object) {
  void* const pages = mmap(nullptr, length, protection, MAP_SHARED, map.get(), offset);
  if (pages == MAP_FAILED) fail("mmap", errno, object);
  return pages;
}

uint32_t lostAt(uint32_t port) { return copystate::LOST + port * static_cast<uint32_t>(sizeof(uint64_t)); }

}  // namespace

// The pages of a ringbuf: how far it is read, and how far it is written.
CopyState::CopyState(const std::string& object) : value_(STATE_BYTES, object), wake_(createWake(object)) {
  consumer_ = static_cast<uint64_t*>(mapPages(wake_, PAGE, PROT_READ | PROT_WRITE, 0, object));
  void* const producer = mmap(nullptr, PAGE, PROT_READ, MAP_SHARED, wake_.get(), PAGE);
  if (producer == MAP_FAILED) {
    const int error = errno;
    munmap(consumer_, PAGE);
    fail("mmap", error, object);
  }
  producer_ = static_cast<const uint64_t*>(producer);
}

CopyState::~CopyState() {
  munmap(consumer_, PAGE);
  munmap(const_cast<uint64_t*>(producer_), PAGE);
}

uint64_t CopyState::lost(uint32_t port) const { return __atomic_load_n(value_.at<uint64_t>(lostAt(port)), __ATOMIC_RELAXED); }

CopyRing::CopyRing(std::shared_ptr<CopyState> state, uint32_t port, uint32_t ifindex, const std::string& object)
    : state_(std::move(state)),
      port_(port),
      lostBefore_(state_->lost(port)),
      ring_(copyring::SIZE, object),
      link_(attachCopy(ifindex, ring_.map(), state_->map(), state_->wake(), lostAt(port), object)) {}

CopyRing::Packet CopyRing::next() {
  for (; ready(); pass()) {
    const CopyDescriptor& packet = *descriptor();
    if (packet.length == 0) continue;
    const auto line = static_cast<uint32_t>(own_ >> 32) & (copyring::LINES - 1);
    return {ring_.bytes() + copyring::DATA + line * copyring::LINE, packet.length, packet.tag};
  }
  return {nullptr, 0, 0};
}

}  // namespace pteropus
