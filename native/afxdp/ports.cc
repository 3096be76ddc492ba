// The ports of an engine: asked of the keeper, taken into service when they are open, and given back to it.
#include <sys/eventfd.h>

#include <algorithm>

#include "afxdp/engine.h"
#include "common/error.h"

namespace pteropus {

namespace {

// Frames a port starts with where they abound: a pod's first burst of connections must not meet an empty ring (a lost SYN
// costs a second), while idle ports leave most frames to the busy ones.
constexpr uint32_t FIRST_TARGET = 256;

AttachMode modeOf(const Port& port) {
  if (port.tap.open()) return AttachMode::Tap;
  if (port.sockets.front()->copies) return AttachMode::Copy;
  return port.attachment.native ? AttachMode::Native : AttachMode::Generic;
}

std::string portName(uint32_t index) { return "port " + std::to_string(index); }

}  // namespace

Engine::Engine(const EngineSpec& spec)
    : spec_(spec),
      vector_(spec.memory + spec.vectorOffset),
      umem_(spec.memory + spec.framesOffset, spec.frameSize, spec.frameCount),
      taps_(umem_),
      wake_(check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd", "xdp")),
      ports_(layout::MAX_PORTS),
      opening_(layout::MAX_PORTS) {
  listWaiting();
  keeper_.emplace(umem_, wake_.get(), spec.share);
}

Engine::~Engine() {
  for (auto& port : ports_) {
    if (port) keeper_->close(std::move(port));
  }
}

void Engine::openPort(uint32_t index, PortSpec spec) {
  if (index >= ports_.size()) fail("openPort", EINVAL, portName(index), "no such port index");
  if (opening_[index] || ports_[index]) fail("openPort", EEXIST, portName(index), "the port index is taken");
  opening_[index] = true;
  FirstFrames first;
  if (spec.mode != AttachMode::Tap) first = firstFrames();
  keeper_->open(index, std::move(spec), std::move(first));
}

FirstFrames Engine::firstFrames() {
  FirstFrames first;
  first.owner = newSocketId();
  // The shares of many ports add up as a harmonic series does; a quarter of it leaves frames for sending and for growth.
  const auto share = umem_.count() / (4 * static_cast<uint32_t>(ids_.size()));
  first.target = std::clamp(share, 8u, FIRST_TARGET);
  while (first.frames.size() < first.target && umem_.available() > 0) first.frames.push_back(umem_.take(first.owner));
  return first;
}

Opened Engine::addPort(uint32_t index, PortSpec spec) {
  openPort(index, std::move(spec));
  waitForOpening(index);
  const auto ours = std::find_if(opened_.begin(), opened_.end(), [&](const Opened& o) { return o.port == index; });
  Opened result = std::move(*ours);
  opened_.erase(ours);
  if (result.error) throw *result.error;
  return result;
}

void Engine::waitForOpening(uint32_t index) {
  while (opening_[index]) {
    keeper_->wait();
    collect();
  }
}

std::vector<Opened> Engine::opened() {
  collect();
  return std::exchange(opened_, {});
}

void Engine::collect() {
  for (Finished& finished : keeper_->take()) {
    for (const uint16_t id : finished.closed) {
      umem_.reclaim(id);
      ids_[id] = false;
    }
    if (finished.opened) {
      opened_.push_back({finished.index, modeOf(*finished.opened), finished.opened->multiBuffer, {}});
      serve(std::move(finished.opened));
    } else if (finished.error) {
      opened_.push_back({finished.index, AttachMode::Auto, false, std::move(finished.error)});
    } else {
      continue;
    }
    opening_[finished.index] = false;
  }
}

// Gives the sockets their place among those that are served, and frames to those that have none yet.
void Engine::serve(std::unique_ptr<Port> port) {
  for (const auto& socket : port->sockets) {
    socket->port = port->index;
    if (socket != port->sockets.front()) {
      socket->id = newSocketId();
      socket->base = socket->target = port->sockets.front()->base;
    }
    active_.push_back(socket.get());
    if (socket->copies) {
      // The frames that were for receiving.
      umem_.reclaim(socket->id);
      copyState_ = &socket->copies->state();
      copying_.push_back(socket->copies.get());
    } else {
      refill(*socket);
    }
  }
  if (port->tap.open()) {
    if (spec_.share.workers == 1) berth_.watch(port->tap.get());
    taps_.add(port->tap.get(), port->index);
  }
  if (port->injector != nullptr && std::find(injectors_.begin(), injectors_.end(), port->injector) == injectors_.end())
    injectors_.push_back(port->injector);
  listWaiting();
  ports_[port->index] = std::move(port);
}

void Engine::listWaiting() {
  waiting_.assign(1, {wake_.get(), POLLIN, 0});
  if (taps_.count() > 0) waiting_.push_back({taps_.fd(), POLLIN, 0});
  if (copyState_ != nullptr) waiting_.push_back({copyState_->wake().get(), POLLIN, 0});
  for (const Socket* socket : active_) {
    if (!socket->copies) waiting_.push_back({socket->fd.get(), POLLIN, 0});
  }
}

// An id names the owner of frames, so it is not given again before they are taken back.
uint16_t Engine::newSocketId() {
  const auto unused = std::find(ids_.begin(), ids_.end(), false);
  const auto id = static_cast<uint16_t>(unused - ids_.begin());
  if (unused == ids_.end()) ids_.push_back(true);
  else *unused = true;
  return id;
}

void Engine::removePort(uint32_t index) {
  if (index >= ports_.size()) return;
  waitForOpening(index);
  if (!ports_[index]) return;
  const auto ours = [&](const Socket* socket) { return socket->port == index; };
  for (const auto& socket : ports_[index]->sockets)
    copying_.erase(std::remove(copying_.begin(), copying_.end(), socket->copies.get()), copying_.end());
  active_.erase(std::remove_if(active_.begin(), active_.end(), ours), active_.end());
  if (ports_[index]->tap.open()) dropTap(*ports_[index]);
  listWaiting();
  keeper_->close(std::move(ports_[index]));
}

Counters Engine::counters(uint32_t index) const {
  if (index >= ports_.size() || !ports_[index]) fail("counters", ENOENT, portName(index));
  const Port& port = *ports_[index];
  Counters sum;
  sum.txFull = port.txFull;
  sum.invalid = port.invalid;
  for (const auto& socket : port.sockets) {
    const xdp_statistics kernel = statistics(*socket);
    // The kernel counts a packet without a frame twice.
    const uint64_t empty = kernel.rx_fill_ring_empty_descs;
    sum.rxDropped += kernel.rx_dropped - std::min<uint64_t>(kernel.rx_dropped, empty) + kernel.rx_ring_full;
    sum.fillEmpty += empty;
    if (socket->copies) sum.rxDropped += socket->copies->lost();
    sum.invalid += kernel.rx_invalid_descs + kernel.tx_invalid_descs;
  }
  return sum;
}

bool Engine::injects(uint32_t index) const {
  if (index >= ports_.size() || !ports_[index]) fail("injects", ENOENT, portName(index));
  return ports_[index]->injector != nullptr;
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
