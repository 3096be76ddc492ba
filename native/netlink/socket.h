// One NETLINK_ROUTE socket: it stays in the namespace it was opened in, whatever thread uses it.
#pragma once
#include <functional>
#include <string>

#include "common/fd.h"
#include "netlink/message.h"

namespace pteropus {

class NetlinkSocket {
 public:
  // Opens it in the calling thread's namespace.
  explicit NetlinkSocket(const std::string& object);

  // Sends and waits for the kernel's answer; an error is thrown as SystemError(syscall, errno, object, kernel's words).
  void transact(Request& request, const char* syscall, const std::string& object);

  // Calls `visit` with each message of a dump. A dump that was disturbed by a change is asked for again.
  void dump(Request& request, const char* syscall, const std::string& object,
            const std::function<void(const nlmsghdr*)>& visit);

  // Index of a link by its name; ENODEV if there is none.
  uint32_t linkIndex(const std::string& name) const;

  int fd() const { return fd_.get(); }
  void close() { fd_.close(); }

 private:
  void send(Request& request, const char* syscall, const std::string& object);
  // Reads answers to the request sent last until `visit` returns true.
  void receive(const char* syscall, const std::string& object, const std::function<bool(const nlmsghdr*)>& visit);

  Fd fd_;
  uint32_t sequence_ = 0;
  std::vector<uint8_t> buffer_;
};

}  // namespace pteropus
