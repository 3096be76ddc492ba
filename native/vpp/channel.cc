#include "vpp/channel.h"

#include <atomic>

#include "common/error.h"

namespace pteropus {

namespace {

// Messages that VPP may send before we take one.
constexpr int QUEUE = 1024;

// The library's callback has no argument for us. It runs between connect and the end of disconnect only.
std::atomic<ShmChannel*> current{nullptr};

}  // namespace

ShmChannel::ShmChannel(const ClientLibrary& library, std::string prefix, std::string name, Events events)
    : library_(library), prefix_(std::move(prefix)), name_(std::move(name)), events_(std::move(events)) {
  ShmChannel* none = nullptr;
  if (!current.compare_exchange_strong(none, this)) fail("vac_connect", EBUSY, prefix_, "one connection for each process");
  thread_ = std::thread([this] { run(); });
}

ShmChannel::~ShmChannel() {
  close();
  thread_.join();
}

void ShmChannel::send(Message message) {
  const std::lock_guard lock(mutex_);
  out_.push_back(std::move(message));
  wake_.notify_one();
}

std::vector<Message> ShmChannel::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(in_, {});
}

void ShmChannel::close() {
  const std::lock_guard lock(mutex_);
  closing_ = true;
  wake_.notify_one();
}

int ShmChannel::messageIndex(const std::string& name) const {
  return library_.messageIndex(const_cast<char*>(name.c_str()));
}

void ShmChannel::receive(unsigned char* message, int length) {
  ShmChannel& self = *current.load();
  bool first;
  {
    const std::lock_guard lock(self.mutex_);
    first = self.in_.empty();
    self.in_.emplace_back(message, message + length);
  }
  if (first) self.events_.arrived();
}

bool ShmChannel::connect() {
  const int result = library_.connect(name_.data(), prefix_.empty() ? nullptr : prefix_.data(), receive, QUEUE);
  const std::string why = "vac_connect says " + std::to_string(result);
  events_.connected(result == 0 ? nullptr : why.c_str());
  return result == 0;
}

void ShmChannel::run() {
  if (connect()) {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return closing_ || !out_.empty(); });
      if (out_.empty()) break;
      Message message = std::move(out_.front());
      out_.pop_front();
      lock.unlock();
      library_.write(reinterpret_cast<char*>(message.data()), static_cast<int>(message.size()));
      lock.lock();
    }
    lock.unlock();
    library_.disconnect();
  }
  current.store(nullptr);
  events_.closed();
}

}  // namespace pteropus
