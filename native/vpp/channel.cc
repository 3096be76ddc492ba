#include "vpp/channel.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "common/error.h"

namespace pteropus {

namespace {

// Messages that VPP may send before we take one.
constexpr int QUEUE = 1024;
// The library itself waits 2 s for a VPP that does not say farewell.
constexpr std::chrono::seconds FAREWELL{4};

}  // namespace

class ShmChannel::Worker {
 public:
  Worker(const ClientLibrary& library, std::string prefix, std::string name, Events events)
      : library_(library), prefix_(std::move(prefix)), name_(std::move(name)), events_(std::move(events)) {
    Worker* none = nullptr;
    if (!current.compare_exchange_strong(none, this)) fail("vac_connect", EBUSY, prefix_, "one connection for each process");
  }

  void run() {
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
    const std::lock_guard lock(mutex_);
    done_ = true;
    ended_.notify_all();
    if (!muted_) events_.closed();
  }

  void send(Message message) {
    const std::lock_guard lock(mutex_);
    out_.push_back(std::move(message));
    wake_.notify_one();
  }

  std::vector<Message> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(in_, {});
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    wake_.notify_one();
  }

  void end() {
    std::unique_lock lock(mutex_);
    muted_ = closing_ = true;
    wake_.notify_one();
    ended_.wait_for(lock, FAREWELL, [this] { return done_; });
  }

  int messageIndex(const std::string& name) const { return library_.messageIndex(const_cast<char*>(name.c_str())); }

 private:
  // The library's callback has no argument for us. It runs between connect and the end of disconnect only.
  static std::atomic<Worker*> current;

  static void receive(unsigned char* message, int length) {
    Worker& self = *current.load();
    const std::lock_guard lock(self.mutex_);
    const bool first = self.in_.empty();
    self.in_.emplace_back(message, message + length);
    if (first && !self.muted_) self.events_.arrived();
  }

  bool connect() {
    const int result = library_.connect(name_.data(), prefix_.empty() ? nullptr : prefix_.data(), receive, QUEUE);
    const std::string why = "vac_connect says " + std::to_string(result);
    const std::lock_guard lock(mutex_);
    if (!muted_) events_.connected(result == 0 ? nullptr : why.c_str());
    return result == 0;
  }

  const ClientLibrary library_;
  std::string prefix_, name_;
  const Events events_;
  std::mutex mutex_;
  std::condition_variable wake_, ended_;
  std::deque<Message> out_;
  std::vector<Message> in_;
  bool closing_ = false, muted_ = false, done_ = false;
};

std::atomic<ShmChannel::Worker*> ShmChannel::Worker::current{nullptr};

ShmChannel::ShmChannel(const ClientLibrary& library, std::string prefix, std::string name, Events events)
    : worker_(std::make_shared<Worker>(library, std::move(prefix), std::move(name), std::move(events))) {
  std::thread([worker = worker_] { worker->run(); }).detach();
}

ShmChannel::~ShmChannel() { worker_->end(); }

void ShmChannel::send(Message message) { worker_->send(std::move(message)); }

std::vector<Message> ShmChannel::take() { return worker_->take(); }

void ShmChannel::close() { worker_->close(); }

int ShmChannel::messageIndex(const std::string& name) const { return worker_->messageIndex(name); }

}  // namespace pteropus
