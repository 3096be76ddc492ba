// Opens and closes ports on a thread of its own: the kernel may take 10 to 30 ms for each (it waits for all readers of what
// changes), and packets must not wait for that. One thread does all, in order, so that a port never meets its own past.
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "afxdp/device.h"
#include "afxdp/injector.h"
#include "afxdp/program.h"
#include "afxdp/socket.h"
#include "afxdp/umem.h"
#include "common/error.h"

namespace pteropus {

// Best: several packets at a time by an injector, where device and kernel let us. Xdp: each by AF_XDP.
enum class Sending { Best, Xdp };

struct PortSpec {
  Fd netns;  // closed: the process's own namespace
  std::string netnsPath;
  std::string link;
  AttachMode mode;
  uint32_t mtu;
  Sending sending;
};

struct Port {
  uint32_t index = 0;
  std::string object;
  Device device{};
  std::vector<std::unique_ptr<Socket>> sockets;
  Fd tap;                 // open: a TAP, and no sockets
  Attachment attachment;  // closed first: no packet comes while the sockets close
  std::shared_ptr<JointAttachment> joint;  // in place of it, where other workers have queues of the device too
  Injector* injector = nullptr;  // what is sent goes by it and not by the sockets; the keeper's
  bool multiBuffer = false;
  uint64_t txFull = 0;
  uint64_t invalid = 0;
  bool dead = false;  // the TAP's device has vanished
  bool answersFar = false;  // what was sent to this TAP last was answered soon, and from another core
};

// Which engine of how many this is: with several, each has the queues of a device that are its number modulo theirs.
struct Share {
  uint32_t worker = 0;
  uint32_t workers = 1;
};

// What the first socket of a port starts with, so that nothing is lost between attaching and the engine's next step.
struct FirstFrames {
  uint16_t owner = 0;
  uint32_t target = 0;
  std::vector<uint32_t> frames;
};

// One job's end: a port that is open, why it is not, or the ids of sockets whose frames are nobody's now.
struct Finished {
  uint32_t index = 0;
  std::unique_ptr<Port> opened;
  std::optional<SystemError> error;
  std::vector<uint16_t> closed;
};

class Keeper {
 public:
  // `wakeFd` is signalled at each job's end.
  Keeper(Umem& umem, int wakeFd, Share share);
  // Does what is still to be done.
  ~Keeper();

  void open(uint32_t index, PortSpec spec, FirstFrames first);
  void close(std::unique_ptr<Port> port);

  bool ready() const { return ready_.load(std::memory_order_acquire); }
  std::vector<Finished> take();
  // Blocks until `take` has something.
  void wait();

 private:
  void run();
  void post(std::function<Finished()> job);
  std::unique_ptr<Port> openPort(uint32_t index, const PortSpec& spec, const FirstFrames& first);
  std::unique_ptr<Socket> openSocket(uint32_t ifindex, uint32_t queue, Receives receives, const std::string& object);
  Injector* injectorFor(const Device& device, const PortSpec& spec, const std::string& object);
  std::unique_ptr<CopyRing> openCopies(uint32_t port, const Device& device, const std::string& object);
  void offer(Socket& socket, const FirstFrames& first);
  void checkBuffers(const PortSpec& spec, const std::string& object) const;
  Finished closePort(Port* port);

  Umem& umem_;
  const int wakeFd_;
  const Share share_;
  // Of the thread alone.
  std::vector<const Port*> open_;
  std::vector<const Socket*> sockets_;
  SharedRedirect redirect_;
  std::shared_ptr<CopyState> copyState_;
  std::map<uint64_t, std::unique_ptr<Injector>> injectors_;  // by namespace; null: it cannot be there
  uint32_t copying_ = 0;  // open ports with a ring of copies
  bool multiBuffer_ = false;

  std::mutex mutex_;
  std::condition_variable work_, result_;
  std::deque<std::function<Finished()>> jobs_;
  std::vector<Finished> finished_;
  bool stopping_ = false;
  std::atomic<bool> ready_{false};
  std::thread thread_;
};

}  // namespace pteropus
