#include "afxdp/copy_ring.h"

#include <sys/mman.h>

#include <utility>

#include "afxdp/copy_program.h"
#include "common/bpf.h"
#include "common/error.h"
#include "common/layout.h"

namespace pteropus {

namespace {

// What TCP windows put there while the worker does not run: 670 packets of an MTU of 1500, 13,000 of 64 bytes. With half of it and two cores
// one TCP connection loses a quarter of its rate; twice as much gains nothing.
constexpr uint32_t RING_BYTES = 1 << 20;
constexpr uint32_t PAGE = 4096;
constexpr uint32_t STATE_BYTES = copystate::LOST + layout::MAX_PORTS * sizeof(uint64_t);
constexpr uint32_t STATE_MAPPED = (STATE_BYTES + PAGE - 1) / PAGE * PAGE;

// The kernel's own header of an entry (BPF_RINGBUF_HDR_SZ): length and flags, then a word of its own. Entries are multiples of it.
constexpr uint32_t ENTRY_HEADER = 8;

uint8_t* mapPages(const Fd& map, size_t length, int protection, off_t offset, const std::string& object) {
  void* pages = mmap(nullptr, length, protection, MAP_SHARED, map.get(), offset);
  if (pages == MAP_FAILED) fail("mmap", errno, object);
  return static_cast<uint8_t*>(pages);
}

Fd createRing(const std::string& object) {
  bpf_attr a = noAttributes();
  a.map_type = BPF_MAP_TYPE_RINGBUF;
  a.max_entries = RING_BYTES;
  return Fd(check(bpf(BPF_MAP_CREATE, a), "BPF_MAP_CREATE", object));
}

Fd createState(const std::string& object) {
  bpf_attr a = noAttributes();
  a.map_type = BPF_MAP_TYPE_ARRAY;
  a.key_size = sizeof(uint32_t);
  a.value_size = STATE_BYTES;
  a.max_entries = 1;
  a.map_flags = BPF_F_MMAPABLE;
  return Fd(check(bpf(BPF_MAP_CREATE, a), "BPF_MAP_CREATE", object));
}

uint32_t lostAt(uint32_t port) { return copystate::LOST + port * static_cast<uint32_t>(sizeof(uint64_t)); }

}  // namespace

CopyState::CopyState(const std::string& object)
    : map_(createState(object)),
      bytes_(mapPages(map_, STATE_MAPPED, PROT_READ | PROT_WRITE, 0, object)),
      asleep_(reinterpret_cast<uint32_t*>(bytes_ + copystate::ASLEEP)),
      core_(reinterpret_cast<uint32_t*>(bytes_ + copystate::CORE)) {}

std::optional<uint32_t> CopyState::takeCore() {
  const uint32_t core = __atomic_exchange_n(core_, 0, __ATOMIC_RELAXED);
  return core == 0 ? std::nullopt : std::optional(core - 1);
}

CopyState::~CopyState() { munmap(bytes_, STATE_MAPPED); }

uint64_t CopyState::lost(uint32_t port) const {
  return __atomic_load_n(reinterpret_cast<const uint64_t*>(bytes_ + lostAt(port)), __ATOMIC_RELAXED);
}

CopyRing::CopyRing(std::shared_ptr<CopyState> state, uint32_t port, uint32_t ifindex, const std::string& object)
    : state_(std::move(state)), port_(port), lostBefore_(state_->lost(port)), map_(createRing(object)) {
  link_ = attachCopy(ifindex, map_, state_->map(), lostAt(port), object);
  // The kernel maps the data twice in a row, so that no entry ends at the ring's end.
  producer_ = reinterpret_cast<uint64_t*>(mapPages(map_, PAGE + 2 * RING_BYTES, PROT_READ, PAGE, object));
  data_ = reinterpret_cast<const uint8_t*>(producer_) + PAGE;
  void* const consumer = mmap(nullptr, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, map_.get(), 0);
  if (consumer == MAP_FAILED) {
    const int error = errno;
    munmap(const_cast<uint64_t*>(producer_), PAGE + 2 * RING_BYTES);
    fail("mmap", error, object);
  }
  consumer_ = static_cast<uint64_t*>(consumer);
}

CopyRing::~CopyRing() {
  munmap(consumer_, PAGE);
  munmap(const_cast<uint64_t*>(producer_), PAGE + 2 * RING_BYTES);
}

CopyRing::Packet CopyRing::next() {
  while (__atomic_load_n(producer_, __ATOMIC_ACQUIRE) != own_) {
    const uint8_t* entry = data_ + (own_ & (RING_BYTES - 1));
    const uint32_t state = __atomic_load_n(reinterpret_cast<const uint32_t*>(entry), __ATOMIC_ACQUIRE);
    if (state & BPF_RINGBUF_BUSY_BIT) break;
    step_ = (ENTRY_HEADER + (state & ~BPF_RINGBUF_DISCARD_BIT) + ENTRY_HEADER - 1) / ENTRY_HEADER * ENTRY_HEADER;
    CopyHeader header;
    memcpy(&header, entry + ENTRY_HEADER, sizeof header);
    if (header.length != 0) return {entry + ENTRY_HEADER + sizeof header, header.length, header.tag};
    pass();
  }
  return {nullptr, 0, 0};
}

}  // namespace pteropus
