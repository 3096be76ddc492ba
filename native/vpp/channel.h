// A connection to VPP through shared memory. All that may wait for VPP is done by a thread of its own, in order; what VPP sends is
// collected by the library's thread until somebody takes it.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vpp/library.h"

namespace pteropus {

using Message = std::vector<uint8_t>;

class ShmChannel {
 public:
  struct Events {
    // On the channel's thread, once: null, or why there is no connection.
    std::function<void(const char* why)> connected;
    // On the library's thread: there are messages where there were none.
    std::function<void()> arrived;
    // On the channel's thread, the last of all.
    std::function<void()> closed;
  };

  // Begins to connect. Throws SystemError: another channel of this process is open (EBUSY).
  ShmChannel(const ClientLibrary& library, std::string prefix, std::string name, Events events);
  // No event comes any more. Waits for the thread, but not long: it may wait for a VPP that is gone.
  ~ShmChannel();
  ShmChannel(const ShmChannel&) = delete;
  ShmChannel& operator=(const ShmChannel&) = delete;

  void send(Message message);
  std::vector<Message> take();
  // Disconnects after what was sent before.
  void close();
  int messageIndex(const std::string& name) const;

 private:
  class Worker;
  // The thread has it too.
  std::shared_ptr<Worker> worker_;
};

}  // namespace pteropus
