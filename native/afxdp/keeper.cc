#include "afxdp/keeper.h"

#include <sys/eventfd.h>

#include <algorithm>

#include "common/layout.h"
#include "common/namespace.h"
#include "tap/device.h"

namespace pteropus {

namespace {

// The kernel leaves this much free before a received packet (XDP_PACKET_HEADROOM): more than the layout's HEADROOM.
constexpr uint32_t KERNEL_HEADROOM = 256;
static_assert(KERNEL_HEADROOM >= layout::HEADROOM, "received packets have the headroom the layout promises");
constexpr uint32_t LINK_HEADER = 14 + 4;
// Rings of copies take memory of the kernel for as long as they are there, 1.3 MiB each; frames are given to who needs them.
constexpr uint32_t MOST_COPYING = 24;

template <typename T>
void forget(std::vector<const T*>& list, const T* item) {
  list.erase(std::remove(list.begin(), list.end(), item), list.end());
}

}  // namespace

Keeper::Keeper(Umem& umem, int wakeFd, Share share) : umem_(umem), wakeFd_(wakeFd), share_(share), thread_([this] { run(); }) {}

Keeper::~Keeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  thread_.join();
}

void Keeper::run() {
  for (;;) {
    std::function<Finished()> job;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    Finished finished = job();
    {
      const std::lock_guard lock(mutex_);
      finished_.push_back(std::move(finished));
      ready_.store(true, std::memory_order_release);
    }
    result_.notify_one();
    eventfd_write(wakeFd_, 1);
  }
}

void Keeper::post(std::function<Finished()> job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  work_.notify_one();
}

std::vector<Finished> Keeper::take() {
  const std::lock_guard lock(mutex_);
  ready_.store(false, std::memory_order_release);
  return std::exchange(finished_, {});
}

void Keeper::wait() {
  std::unique_lock lock(mutex_);
  result_.wait(lock, [this] { return !finished_.empty(); });
}

void Keeper::open(uint32_t index, PortSpec spec, FirstFrames first) {
  // std::function wants to be copied; the descriptor inside must not be.
  post([this, index, shared = std::make_shared<PortSpec>(std::move(spec)), first = std::move(first)] {
    Finished finished;
    finished.index = index;
    try {
      finished.opened = openPort(index, *shared, first);
    } catch (SystemError& e) {
      if (shared->mode != AttachMode::Tap) finished.closed.push_back(first.owner);
      finished.error = std::move(e);
    }
    return finished;
  });
}

void Keeper::close(std::unique_ptr<Port> port) {
  post([this, raw = port.release()] { return closePort(raw); });
}

// Detaches the program and closes the sockets; when that has returned the kernel writes to their frames no more.
Finished Keeper::closePort(Port* port) {
  Finished finished;
  finished.index = port->index;
  forget(open_, static_cast<const Port*>(port));
  for (const auto& socket : port->sockets) {
    finished.closed.push_back(socket->id);
    if (socket->copies) copying_--;
    forget(sockets_, static_cast<const Socket*>(socket.get()));
  }
  delete port;
  return finished;
}

// In the device's namespace. Any bound socket can share its frames; one whose device has vanished cannot (EBADF), so each
// is tried in turn, and without any the frames are registered anew.
std::unique_ptr<Socket> Keeper::openSocket(uint32_t ifindex, uint32_t queue, Receives receives, const std::string& object) {
  for (const Socket* other : sockets_) {
    try {
      return std::make_unique<Socket>(umem_, other->fd.get(), ifindex, queue, receives, object);
    } catch (const SystemError& e) {
      if (e.error != EBADF) throw;
    }
  }
  auto socket = std::make_unique<Socket>(umem_, -1, ifindex, queue, receives, object);
  multiBuffer_ = socket->multiBuffer;
  return socket;
}

// Null: packets are sent by AF_XDP. Its namespace's injector is made for the first link that can use it and stays, since making one takes
// milliseconds. Measured for the ends of veth pairs alone; a NIC has queues of its own to fill. Must run in that namespace.
Injector* Keeper::injectorFor(const Device& device, const PortSpec& spec, const std::string& object) {
  if (!device.veth || spec.sending != Sending::Best || spec.mtu + LINK_HEADER > Injector::LONGEST) return nullptr;
  const auto [place, added] = injectors_.try_emplace(device.netns);
  if (added) {
    try {
      place->second = std::make_unique<Injector>(object);
    } catch (const SystemError&) {
      // Not tried again: it is the kernel that cannot.
    }
  }
  return place->second && !place->second->broken() ? place->second.get() : nullptr;
}

// Null: this kernel cannot do it, as many ports have one already, or there are several workers, who share a device by its queues.
std::unique_ptr<CopyRing> Keeper::openCopies(uint32_t port, const Device& device, const std::string& object) {
  if (share_.workers > 1 || copying_ == MOST_COPYING) return nullptr;
  try {
    if (!copyState_) copyState_ = std::make_shared<CopyState>(object);
    return std::make_unique<CopyRing>(copyState_, port, device.index, object);
  } catch (const SystemError&) {
    return nullptr;
  }
}

void Keeper::offer(Socket& socket, const FirstFrames& first) {
  socket.id = first.owner;
  socket.base = socket.target = first.target;
  socket.posted = static_cast<uint32_t>(first.frames.size());
  for (uint32_t i = 0; i < socket.posted; i++) socket.fill.at(i) = umem_.offsetOf(first.frames[i]);
  socket.fill.produce(socket.posted);
  socket.fill.publish();
}

void Keeper::checkBuffers(const PortSpec& spec, const std::string& object) const {
  const uint32_t oneBuffer = umem_.frameSize() - KERNEL_HEADROOM - LINK_HEADER;
  if (spec.mtu > oneBuffer && !multiBuffer_)
    fail("bind", EMSGSIZE, object, "an MTU above " + std::to_string(oneBuffer) + " needs kernel 6.6 (AF_XDP multi-buffer)");
}

std::unique_ptr<Port> Keeper::openPort(uint32_t index, const PortSpec& spec, const FirstFrames& first) {
  auto port = std::make_unique<Port>();
  port->index = index;
  port->object = spec.link + " in " + spec.netnsPath;
  const std::string& object = port->object;
  const size_t before = sockets_.size();
  try {
    runIn(spec.netns.get(), spec.netnsPath, [&] {
      const Device device = port->device = findDevice(spec.link, object);
      // The kernel would say EINVAL.
      for (const Port* other : open_) {
        if (other->device.netns == device.netns && other->device.index == device.index)
          fail("bind", EBUSY, object, "it is a port already");
      }
      if (spec.mode == AttachMode::Tap) {
        port->tap = attachTap(spec.link, object, share_.workers > 1);
        return;
      }
      port->injector = injectorFor(device, spec, object);
      // Every worker must be able to send by every device.
      if (device.queues < share_.workers)
        fail("bind", ENOSPC, object,
             std::to_string(share_.workers) + " workers need as many queues, and it has " + std::to_string(device.queues));
      if (spec.mode == AttachMode::Copy) {
        if (std::unique_ptr<CopyRing> copies = openCopies(index, device, object)) {
          port->sockets.push_back(openSocket(device.index, 0, Receives::No, object));
          sockets_.push_back(port->sockets.back().get());
          port->sockets.back()->copies = std::move(copies);
          port->sockets.back()->id = first.owner;
          checkBuffers(spec, object);
          copying_++;
          return;
        }
      }
      std::vector<int> fds;
      std::vector<QueueSocket> queues;
      for (uint32_t queue = share_.worker; queue < device.queues; queue += share_.workers) {
        port->sockets.push_back(openSocket(device.index, queue, Receives::Yes, object));
        sockets_.push_back(port->sockets.back().get());
        fds.push_back(port->sockets.back()->fd.get());
        queues.push_back({queue, fds.back()});
      }
      offer(*port->sockets.front(), first);
      checkBuffers(spec, object);
      if (share_.workers == 1) {
        port->attachment = attachRedirect(redirect_, device.index, fds, spec.mode, object);
        return;
      }
      port->joint = joinRedirect(device, queues, spec.mode, object);
      port->attachment.native = port->joint->native;
    });
  } catch (...) {
    sockets_.resize(before);
    throw;
  }
  port->multiBuffer = multiBuffer_ || port->tap.open();
  open_.push_back(port.get());
  return port;
}

}  // namespace pteropus
