// Long-lived connections for tests: opened once, then numbered lines are sent and their echoes counted.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "loop.h"

namespace pod {

class Stream;

class Streams {
 public:
  explicit Streams(Loop& loop) : loop_(loop) {}

  // Prints `opened ID LOCALPORT`, or `failed ID WHY`.
  void open(const std::string& id, const std::string& protocol, const std::string& address, uint16_t port);
  // Sends `count` lines, one each `intervalMillis`; prints `progress ID SENT ANSWERED` every 100 ms in which something
  // happened, and `done ID SENT ANSWERED` when all are answered, a second after the last one was sent or had to be, or
  // when the connection breaks.
  void send(const std::string& id, uint64_t count, int64_t intervalMillis);
  void close(const std::string& id);
  void closeAll();

 private:
  Loop& loop_;
  std::map<std::string, std::shared_ptr<Stream>> streams_;
};

}  // namespace pod
