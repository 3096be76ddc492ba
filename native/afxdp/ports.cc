// Opening and closing of ports, and what is counted about them.
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>

#include "afxdp/engine.h"
#include "afxdp/uapi.h"
#include "common/error.h"
#include "common/namespace.h"

namespace pteropus {

namespace {

// The kernel leaves this much free before a received packet (XDP_PACKET_HEADROOM): more than the layout's HEADROOM.
constexpr uint32_t KERNEL_HEADROOM = 256;
static_assert(KERNEL_HEADROOM >= layout::HEADROOM, "received packets have the headroom the layout promises");
constexpr uint32_t LINK_HEADER = 14 + 4;
constexpr uint32_t FIRST_TARGET = 64;

Fd openEpoll(int wake) {
  Fd fd(check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1", "xdp"));
  epoll_event event{};
  event.events = EPOLLIN;
  check(epoll_ctl(fd.get(), EPOLL_CTL_ADD, wake, &event), "epoll_ctl", "xdp");
  return fd;
}

}  // namespace

Engine::Engine(const EngineSpec& spec)
    : spec_(spec),
      vector_(spec.memory + spec.vectorOffset),
      umem_(spec.memory + spec.framesOffset, spec.frameSize, spec.frameCount),
      wake_(check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd", "xdp")) {
  epoll_ = openEpoll(wake_.get());
}

uint16_t Engine::freeSocketId() const {
  for (uint16_t id = 0; id < Umem::MAX_SOCKETS; id++) {
    const auto taken = [id](const Socket* socket) { return socket->id == id; };
    if (std::none_of(active_.begin(), active_.end(), taken)) return id;
  }
  fail("socket", ENFILE, "xdp");
}

// In the device's namespace. Any bound socket can share its frames; one whose device has vanished cannot (EBADF), so each
// is tried in turn, and without any the frames are registered anew.
std::unique_ptr<Socket> Engine::openSocket(uint32_t ifindex, uint32_t queue, const std::string& object) {
  for (const Socket* other : active_) {
    try {
      return std::make_unique<Socket>(umem_, other->fd.get(), ifindex, queue, object);
    } catch (const SystemError& e) {
      if (e.error != EBADF) throw;
    }
  }
  auto socket = std::make_unique<Socket>(umem_, -1, ifindex, queue, object);
  multiBuffer_ = socket->multiBuffer;
  return socket;
}

Engine::Added Engine::addPort(uint32_t index, const PortSpec& spec) {
  const std::string object = spec.link + " in " + spec.netnsPath;
  if (index >= layout::MAX_PORTS) fail("addPort", EINVAL, object, "no such port index");
  if (ports_.size() <= index) ports_.resize(index + 1);
  if (ports_[index]) fail("addPort", EEXIST, object, "the port index is taken by " + ports_[index]->object);
  auto port = std::make_unique<Port>();
  port->object = object;
  const size_t before = active_.size();
  try {
    runIn(spec.netnsFd, spec.netnsPath, [&] {
      const Device device = port->device = findDevice(spec.link, object);
      // The kernel would say EINVAL.
      for (const auto& other : ports_) {
        if (other && other->device.netns == device.netns && other->device.index == device.index)
          fail("bind", EBUSY, object, "it is a port already");
      }
      for (uint32_t queue = 0; queue < device.queues; queue++) {
        port->sockets.push_back(openSocket(device.index, queue, object));
        start(*port->sockets.back(), index);
      }
      const uint32_t oneBuffer = umem_.frameSize() - KERNEL_HEADROOM;
      if (spec.mtu + LINK_HEADER > oneBuffer && !multiBuffer_)
        fail("bind", EMSGSIZE, object, "an MTU above " + std::to_string(oneBuffer - LINK_HEADER) + " needs kernel 6.6 (AF_XDP multi-buffer)");
      std::vector<int> fds;
      for (const auto& socket : port->sockets) fds.push_back(socket->fd.get());
      port->attachment = attachRedirect(device.index, fds, spec.mode, object);
    });
  } catch (...) {
    active_.resize(before);
    drop(std::move(port));
    throw;
  }
  const bool native = port->attachment.native;
  ports_[index] = std::move(port);
  return {native, multiBuffer_};
}

// Gives the socket its first frames and its place among those that are served.
void Engine::start(Socket& socket, uint32_t port) {
  socket.id = freeSocketId();
  socket.port = port;
  const auto share = umem_.count() / (2 * (static_cast<uint32_t>(active_.size()) + 1));
  socket.target = std::clamp(share, 8u, FIRST_TARGET);
  active_.push_back(&socket);
  refill(socket);
  epoll_event event{};
  event.events = EPOLLIN;
  check(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.fd.get(), &event), "epoll_ctl", "xdp");
}

// Detaches the program, closes the sockets (the kernel waits until nobody writes to the frames), and takes the frames back.
void Engine::drop(std::unique_ptr<Port> port) {
  std::vector<uint16_t> ids;
  for (const auto& socket : port->sockets) ids.push_back(socket->id);
  port.reset();
  for (const uint16_t id : ids) umem_.reclaim(id);
}

void Engine::removePort(uint32_t index) {
  if (index >= ports_.size() || !ports_[index]) return;
  std::unique_ptr<Port> port = std::move(ports_[index]);
  const auto ours = [&](const Socket* socket) { return socket->port == index; };
  active_.erase(std::remove_if(active_.begin(), active_.end(), ours), active_.end());
  drop(std::move(port));
}

Counters Engine::counters(uint32_t index) const {
  if (index >= ports_.size() || !ports_[index]) fail("counters", ENOENT, "port " + std::to_string(index));
  const Port& port = *ports_[index];
  Counters sum;
  sum.txFull = port.txFull;
  sum.invalid = port.invalid;
  for (const auto& socket : port.sockets) {
    const xdp_statistics kernel = statistics(*socket);
    sum.rxDropped += kernel.rx_dropped + kernel.rx_ring_full;
    sum.fillEmpty += kernel.rx_fill_ring_empty_descs;
    sum.invalid += kernel.rx_invalid_descs + kernel.tx_invalid_descs;
  }
  return sum;
}

FrameCounts Engine::frames() const {
  FrameCounts counts{umem_.count(), umem_.available(), 0, 0};
  for (uint32_t frame = 0; frame < umem_.count(); frame++) {
    if (umem_.owner(frame) == Umem::CALLER) counts.caller++;
    else if (umem_.owner(frame) != Umem::FREE) counts.kernel++;
  }
  return counts;
}

}  // namespace pteropus
