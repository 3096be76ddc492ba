#include "afxdp/socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include "afxdp/uapi.h"
#include "common/error.h"

namespace pteropus {

namespace {

constexpr int BUSY_RETRIES = 200;
constexpr useconds_t BUSY_PAUSE_MICROS = 5000;
constexpr int SEND_BUFFER_BYTES = 4 << 20;
constexpr int TX_BUDGET = 256;
// The kernel wants a fill ring of every socket.
constexpr uint32_t UNUSED_RING = 2;

void option(const Fd& fd, int name, const void* value, socklen_t size, const char* what, const std::string& object) {
  check(setsockopt(fd.get(), SOL_XDP, name, value, size), what, object);
}

void registerFrames(const Fd& fd, Umem& umem, const std::string& object) {
  xdp_umem_reg reg{};
  reg.addr = reinterpret_cast<uint64_t>(umem.base());
  reg.len = umem.bytes();
  reg.chunk_size = umem.frameSize();
  // In copy mode frames may begin anywhere, so that there may be gaps between them.
  reg.flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG;
  if (setsockopt(fd.get(), SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg) == 0) return;
  fail("XDP_UMEM_REG", errno, object, errno == ENOBUFS ? "locked memory is limited: CAP_IPC_LOCK or a larger RLIMIT_MEMLOCK is needed" : "");
}

template <typename Entry, typename Offsets>
void mapRing(const Fd& fd, Ring<Entry>& ring, const Offsets& offsets, uint64_t page, uint32_t size,
             const std::string& object) {
  const size_t length = offsets.desc + size * sizeof(Entry);
  void* map = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), static_cast<off_t>(page));
  if (map == MAP_FAILED) fail("mmap", errno, object);
  ring.adopt(map, length, offsets, size);
}

// The kernel frees a queue some time after its socket was closed, from a work queue: under load 100 ms were seen.
int bindPatiently(const Fd& fd, const sockaddr_xdp& address) {
  for (int attempt = 0;; attempt++) {
    const int result = bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (result == 0 || errno != EBUSY || attempt == BUSY_RETRIES) return result;
    usleep(BUSY_PAUSE_MICROS);
  }
}

}  // namespace

Socket::Socket(Umem& umem, int share, uint32_t ifindex, uint32_t queue, Receives receives, const std::string& object)
    : fd(check(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), "socket", object)), queue(queue) {
  if (share < 0) registerFrames(fd, umem, object);
  const bool receiving = receives == Receives::Yes;
  const uint32_t fillRing = receiving ? RECEIVE_RING : UNUSED_RING;
  option(fd, XDP_UMEM_FILL_RING, &fillRing, sizeof fillRing, "XDP_UMEM_FILL_RING", object);
  option(fd, XDP_UMEM_COMPLETION_RING, &SEND_RING, sizeof SEND_RING, "XDP_UMEM_COMPLETION_RING", object);
  if (receiving) option(fd, XDP_RX_RING, &RECEIVE_RING, sizeof RECEIVE_RING, "XDP_RX_RING", object);
  option(fd, XDP_TX_RING, &SEND_RING, sizeof SEND_RING, "XDP_TX_RING", object);
  xdp_mmap_offsets offsets{};
  socklen_t length = sizeof offsets;
  check(getsockopt(fd.get(), SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length), "XDP_MMAP_OFFSETS", object);
  mapRing(fd, fill, offsets.fr, XDP_UMEM_PGOFF_FILL_RING, fillRing, object);
  mapRing(fd, completion, offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING, SEND_RING, object);
  if (receiving) mapRing(fd, rx, offsets.rx, XDP_PGOFF_RX_RING, RECEIVE_RING, object);
  mapRing(fd, tx, offsets.tx, XDP_PGOFF_TX_RING, SEND_RING, object);

  // Both only save system calls and early EAGAINs: without them everything works.
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &SEND_BUFFER_BYTES, sizeof SEND_BUFFER_BYTES);
  setsockopt(fd.get(), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &TX_BUDGET, sizeof TX_BUDGET);

  sockaddr_xdp address{};
  address.sxdp_family = AF_XDP;
  address.sxdp_ifindex = ifindex;
  address.sxdp_queue_id = queue;
  if (share >= 0) {
    // A sharing socket may name no other flag: it takes those of the first one.
    address.sxdp_flags = XDP_SHARED_UMEM;
    address.sxdp_shared_umem_fd = static_cast<uint32_t>(share);
    check(bindPatiently(fd, address), "bind", object);
    return;
  }
  // Copy mode, because frames shared between devices must all be in one mode and veth has no other.
  address.sxdp_flags = XDP_COPY | XDP_USE_SG;
  int bound = bindPatiently(fd, address);
  multiBuffer = bound == 0;
  if (bound < 0 && errno == EINVAL) {
    address.sxdp_flags = XDP_COPY;
    bound = bindPatiently(fd, address);
  }
  check(bound, "bind", object);
}

xdp_statistics statistics(const Socket& socket) {
  xdp_statistics counters{};
  socklen_t size = sizeof counters;
  if (getsockopt(socket.fd.get(), SOL_XDP, XDP_STATISTICS, &counters, &size) < 0) return {};
  return counters;
}

}  // namespace pteropus
