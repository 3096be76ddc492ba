// A failed system call on its way to JavaScript, where it becomes a NativeError.
#pragma once
#include <cerrno>
#include <string>
#include <utility>

namespace pteropus {

struct SystemError {
  std::string syscall;
  int error;
  std::string object;
  // The kernel's own words (netlink extended ack) or a hint; may be empty.
  std::string detail;
};

[[noreturn]] inline void fail(const char* syscall, int error, std::string object, std::string detail = {}) {
  throw SystemError{syscall, error, std::move(object), std::move(detail)};
}

// Returns `result`, or throws with errno if it is negative.
inline int check(long result, const char* syscall, const std::string& object) {
  if (result < 0) fail(syscall, errno, object);
  return static_cast<int>(result);
}

}  // namespace pteropus
