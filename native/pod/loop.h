// A single-threaded event loop: descriptors by epoll, and timers.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

namespace pod {

class Loop {
 public:
  using Handler = std::function<void(uint32_t events)>;

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Watches a descriptor, which the loop now owns; `events` as EPOLLIN.
  void add(int fd, uint32_t events, Handler handler);
  void change(int fd, uint32_t events);
  // Stops watching and closes. Safe inside any handler.
  void remove(int fd);

  // Calls `work` once after this many milliseconds; the result is for `cancel`.
  uint64_t after(int64_t millis, std::function<void()> work);
  void cancel(uint64_t timer);

  // Serves events until `stop`.
  void run();
  void stop() { running_ = false; }

 private:
  using Key = std::pair<int64_t, uint64_t>;  // when, id
  int nextTimeout() const;
  void fireTimers();

  int epoll_;
  bool running_ = false;
  uint64_t timerIds_ = 0;
  std::map<Key, std::function<void()>> timers_;
  std::unordered_map<uint64_t, int64_t> dues_;
  std::unordered_map<int, std::shared_ptr<Handler>> handlers_;
};

// Milliseconds of the monotonic clock.
int64_t now();

}  // namespace pod
