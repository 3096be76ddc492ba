#include "vpp/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cstring>

#include "common/error.h"

namespace pteropus {

namespace {

constexpr int ANSWER_SECONDS = 5;

Fd connectTo(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail("connect", ENAMETOOLONG, path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd socket(check(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket", path));
  const timeval patience{ANSWER_SECONDS, 0};
  check(setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "setsockopt", path);
  check(connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect", path);
  return socket;
}

Fd receiveDescriptor(const Fd& socket, const std::string& path) {
  char byte;
  iovec part{&byte, sizeof byte};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  check(recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC), "recvmsg", path);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int)))
    fail("recvmsg", EBADMSG, path, "no descriptor came");
  int fd;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd(fd);
}

// Whether the file cannot be cut short while it is mapped, which would end this process by SIGBUS.
bool keepsItsSize(const Fd& memory) {
  const int seals = fcntl(memory.get(), F_GET_SEALS);
  if (seals >= 0 && (seals & F_SEAL_SHRINK) != 0) return true;
  return fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0;
}

void copyWords(const uint8_t* from, uint8_t* into, size_t length) {
  const auto byByte = [&](size_t count) {
    for (; count > 0; count--, length--) *into++ = *static_cast<const volatile uint8_t*>(from++);
  };
  const size_t before = -reinterpret_cast<uintptr_t>(from) & 7;
  byByte(before < length ? before : length);
  for (; length >= 8; from += 8, into += 8, length -= 8) {
    const uint64_t word = __atomic_load_n(reinterpret_cast<const uint64_t*>(from), __ATOMIC_RELAXED);
    std::memcpy(into, &word, sizeof word);
  }
  byByte(length);
}

}  // namespace

StatsSegment::StatsSegment(const std::string& socketPath) {
  memory_ = receiveDescriptor(connectTo(socketPath), socketPath);
  struct stat status {};
  check(fstat(memory_.get(), &status), "fstat", socketPath);
  size_ = static_cast<uint64_t>(status.st_size);
  // Memory that its owner could cut short (huge pages cannot be sealed everywhere) is read by system calls, which fail and do not kill.
  if (size_ == 0 || !keepsItsSize(memory_)) return;
  void* map = mmap(nullptr, size_, PROT_READ, MAP_SHARED, memory_.get(), 0);
  if (map == MAP_FAILED) fail("mmap", errno, socketPath);
  map_ = static_cast<const uint8_t*>(map);
}

bool StatsSegment::copy(uint64_t offset, uint8_t* into, size_t length) const {
  if (!memory_.open() || offset > size_ || length > size_ - offset) return false;
  // What was read before (the epoch) must not be read after this.
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  if (map_ != nullptr) {
    copyWords(map_ + offset, into, length);
  } else {
    for (size_t done = 0; done < length;) {
      const ssize_t got = pread(memory_.get(), into + done, length - done, static_cast<off_t>(offset + done));
      if (got <= 0) return false;
      done += static_cast<size_t>(got);
    }
  }
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  return true;
}

void StatsSegment::close() {
  if (map_ != nullptr) munmap(const_cast<uint8_t*>(map_), size_);
  map_ = nullptr;
  memory_.close();
}

}  // namespace pteropus
