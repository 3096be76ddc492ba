#include "loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

namespace pod {

int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1000000;
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

Loop::~Loop() {
  for (const auto& [fd, handler] : handlers_) close(fd);
  close(epoll_);
}

void Loop::add(int fd, uint32_t events, Handler handler) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  handlers_[fd] = std::make_shared<Handler>(std::move(handler));
}

void Loop::change(int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void Loop::remove(int fd) {
  if (handlers_.erase(fd) > 0) close(fd);
}

uint64_t Loop::after(int64_t millis, std::function<void()> work) {
  const uint64_t id = ++timerIds_;
  const int64_t due = now() + millis;
  timers_.emplace(Key{due, id}, std::move(work));
  dues_[id] = due;
  return id;
}

void Loop::cancel(uint64_t timer) {
  const auto due = dues_.find(timer);
  if (due == dues_.end()) return;
  timers_.erase(Key{due->second, timer});
  dues_.erase(due);
}

int Loop::nextTimeout() const {
  if (timers_.empty()) return -1;
  return static_cast<int>(std::clamp<int64_t>(timers_.begin()->first.first - now(), 0, 60000));
}

void Loop::fireTimers() {
  const int64_t limit = now();
  while (!timers_.empty() && timers_.begin()->first.first <= limit) {
    const auto work = std::move(timers_.begin()->second);
    dues_.erase(timers_.begin()->first.second);
    timers_.erase(timers_.begin());
    work();
  }
}

void Loop::run() {
  epoll_event events[256];
  for (running_ = true; running_;) {
    const int count = epoll_wait(epoll_, events, 256, nextTimeout());
    for (int i = 0; i < count && running_; i++) {
      const auto found = handlers_.find(events[i].data.fd);
      if (found == handlers_.end()) continue;
      // A copy: the handler may remove itself. A descriptor number used again in this round only sees a call too many.
      const std::shared_ptr<Handler> handler = found->second;
      (*handler)(events[i].events);
    }
    fireTimers();
  }
}

}  // namespace pod
