// The batch step: send, complete, refill, receive, wait. Opening and closing of ports is in ports.cc.
#include "afxdp/engine.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "afxdp/uapi.h"
#include "common/error.h"

namespace pteropus {

namespace {

using namespace layout;

// The kernel builds a packet of one linear part and at most 17 pages.
constexpr uint32_t MAX_SEGMENTS = 17;
// How long a sleep may last while the kernel still owes us a send.
constexpr uint32_t PENDING_WAIT_MICROS = 100;
// Frames that a busy port's ring goes back to (with 4,096 the port passes a sixth less than with 1,024), and after how many looks at it
// that found it at least half full: less than a tenth of a second under load.
constexpr uint32_t CACHED_TARGET = 1024;
constexpr uint32_t CALM_REFILLS = 1 << 13;
constexpr uint32_t CACHE_LINE = 64;

// Where a received packet begins. Of frames that may begin anywhere the kernel tells the frame's place and, in the upper bits, how far behind it.
uint64_t placeOf(const xdp_desc& descriptor) {
  return (descriptor.addr & XSK_UNALIGNED_BUF_ADDR_MASK) + (descriptor.addr >> XSK_UNALIGNED_BUF_OFFSET_SHIFT);
}

}  // namespace

uint32_t Engine::word(uint32_t entry, uint32_t offset) const {
  uint32_t value;
  memcpy(&value, vector_ + entry * VECTOR_SIZE + offset, sizeof value);
  return value;
}

void Engine::setWord(uint32_t entry, uint32_t offset, uint32_t value) {
  memcpy(vector_ + entry * VECTOR_SIZE + offset, &value, sizeof value);
}

void Engine::writeEntry(uint32_t at, uint32_t address, uint32_t length, uint32_t total, uint32_t port, uint32_t handle) {
  setWord(at, V_ADDRESS, address);
  setWord(at, V_LENGTH, length);
  setWord(at, V_TOTAL, total);
  setWord(at, V_RX_PORT, port);
  setWord(at, V_TX_PORT, PORT_NONE);
  setWord(at, V_HANDLE, handle);
  setWord(at, V_FLAGS, 0);
  setWord(at, V_OUTCOME, 0);
  setSegment(at, 0);
}

// The longest IP packet an entry is sent as, where it is cut on its way out; 0 = itself. Behind the vector (SEGMENTS_BASE).
void Engine::setSegment(uint32_t entry, uint32_t length) {
  memcpy(vector_ + spec_.vectorCapacity * VECTOR_SIZE + entry * 4, &length, sizeof length);
}

uint32_t Engine::step(uint32_t transmit, uint32_t timeoutMicros, bool bound) {
  if (!bound) berth_.roam();
  send(transmit);
  if (!bound || timeoutMicros == 0) {
    const uint32_t received = poll();
    if (received > 0 || timeoutMicros == 0) return received;
  }
  if (bound) {
    const uint32_t received = awaitAnswer();
    if (received > 0) return received;
  }
  const bool far = wait(timeoutMicros, bound);
  if (bound) {
    const uint32_t received = receiveAnswer(far);
    if (received > 0) return received;
  }
  return poll();
}

void Engine::send(uint32_t transmit) {
  const uint32_t count = std::min(transmit, spec_.vectorCapacity);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t frame = word(i, V_HANDLE);
    const uint32_t index = word(i, V_TX_PORT);
    // A handle that is not the caller's would give one frame two owners: nothing is done with it.
    if (frame >= umem_.count() || umem_.owner(frame) != Umem::CALLER) continue;
    Port* port = index < ports_.size() ? ports_[index].get() : nullptr;
    if (port == nullptr) {
      umem_.releaseChain(frame);
      continue;
    }
    if (umem_.segment(frame).next != Umem::NONE) trim(i, frame);
    if (port->tap.open()) {
      sendTap(*port, i, frame);
      umem_.releaseChain(frame);
      continue;
    }
    // One flow keeps one queue, and so its order.
    auto& sockets = port->sockets;
    Socket& socket = *sockets[sockets.size() == 1 ? 0 : word(i, V_HASH) % sockets.size()];
    const Offload offload = umem_.segment(frame).offload;
    if (offload.kind != Offload::None && forwarded(i)) {
      if (offload.kind != Offload::Checksum) {
        sendSegments(*port, socket, i, frame, offload);
        umem_.releaseChain(frame);
        continue;
      }
      if (!complete(i, frame, offload)) {
        port->invalid++;
        umem_.releaseChain(frame);
        continue;
      }
    }
    if (!scatter(frame)) {
      port->txFull++;
      umem_.releaseChain(frame);
      continue;
    }
    const uint32_t offset = word(i, V_ADDRESS) - spec_.framesOffset;
    if (!enqueue(*port, socket, frame, offset, word(i, V_LENGTH))) umem_.releaseChain(frame);
  }
  for (Socket* socket : active_) {
    if (socket->kick) flush(*socket);
  }
  for (Injector* injector : injectors_) {
    if (injector->pending()) flush(*injector);
  }
}

// Sends a packet and its chain, or counts why not. The first buffer may start anywhere in its frame. True: the kernel has the frames.
bool Engine::enqueue(Port& port, Socket& socket, uint32_t frame, uint32_t offset, uint32_t length) {
  uint32_t segments = 1;
  bool whole = true;
  for (uint32_t f = umem_.segment(frame).next; f != Umem::NONE && whole; f = umem_.segment(f).next) {
    whole = umem_.owner(f) == Umem::CALLER;
    segments++;
  }
  // The kernel skips a bad descriptor without completing it: its frame would be lost. So none is ever given.
  const uint32_t inFrame = offset - static_cast<uint32_t>(umem_.offsetOf(frame));
  if (!whole || length == 0 || inFrame >= umem_.frameSize() || length > umem_.frameSize() - inFrame || segments > MAX_SEGMENTS) {
    port.invalid++;
    return false;
  }
  if (port.injector != nullptr) {
    enqueueToBatch(port, socket, frame, offset, length);
    return false;
  }
  return enqueueToSocket(port, socket, frame, offset, length, segments);
}

// Puts it into the tx ring.
bool Engine::enqueueToSocket(Port& port, Socket& socket, uint32_t frame, uint32_t offset, uint32_t length, uint32_t segments) {
  if (socket.dead || socket.tx.space() < segments) {
    if (!socket.dead) {
      flush(socket);
      reap(socket);
    }
    if (socket.dead || socket.tx.space() < segments) {
      port.txFull++;
      return false;
    }
  }
  const uint32_t head = socket.tx.head();
  for (uint32_t i = 0; i < segments; i++) {
    const Umem::Segment& segment = umem_.segment(frame);
    socket.tx.at(head + i) = {offset, length, i + 1 < segments ? static_cast<uint32_t>(XDP_PKT_CONTD) : 0u};
    umem_.give(frame, socket.id);
    frame = segment.next;
    if (frame != Umem::NONE) {
      offset = umem_.segment(frame).offset;
      length = umem_.segment(frame).length;
    }
  }
  socket.tx.produce(segments);
  socket.outstanding += segments;
  socket.kick = true;
  return true;
}

// Tells the kernel to send. One call sends 32 packets in copy mode (less if the device is busy), so as long as it gets on
// it is called again; what is left then is tried again at the next step.
void Engine::flush(Socket& socket) {
  socket.tx.publish();
  uint32_t left = socket.tx.untaken();
  while (left > 0) {
    const int error = sendto(socket.fd.get(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 ? errno : 0;
    const uint32_t now = socket.tx.untaken();
    if (now == left) {
      socket.dead = error == ENXIO || error == ENODEV;
      // Soon possible again. Not so for a link that is down (ENETDOWN): that waits for the next packet.
      socket.kick = error == EAGAIN || error == EBUSY || error == ENOBUFS || error == EINTR;
      pending_ |= socket.kick;
      return;
    }
    left = now;
  }
  socket.kick = false;
}

void Engine::reap(Socket& socket) {
  const uint32_t ready = socket.completion.ready();
  if (ready == 0) return;
  const uint32_t head = socket.completion.head();
  for (uint32_t i = 0; i < ready; i++) {
    const uint32_t frame = umem_.frameOf(socket.completion.at(head + i));
    if (frame >= umem_.count() || umem_.owner(frame) != socket.id) continue;
    umem_.release(frame);
    socket.outstanding--;
  }
  socket.completion.consume(ready);
}

// An idle port holds few frames. One whose ring was found half empty gets twice as many, but not of the last quarter, which is
// for what every port may have, for new ports and for packets of our own. All frames of a ring are used in turn, so that many of them
// leave the caches before they come again: once nothing kept us away for a while, a large ring becomes smaller.
void Engine::refill(Socket& socket) {
  const uint32_t untaken = socket.fill.untaken();
  if (socket.posted >= socket.target && untaken >= socket.target / 2) return;
  const uint32_t reserve = umem_.count() / 4;
  if (untaken < socket.target / 2) {
    socket.calm = 0;
    if (socket.target < RECEIVE_RING && umem_.available() > reserve) socket.target *= 2;
  } else if (socket.target > CACHED_TARGET && ++socket.calm == CALM_REFILLS) {
    socket.calm = 0;
    socket.target /= 2;
  }
  const uint32_t head = socket.fill.head();
  const uint32_t space = socket.fill.space();
  uint32_t count = 0;
  while (socket.posted < socket.target && count < space) {
    if (socket.posted >= socket.base && umem_.available() <= reserve) break;
    const uint32_t frame = umem_.take(socket.id);
    if (frame == Umem::NONE) break;
    socket.fill.at(head + count++) = umem_.offsetOf(frame);
    socket.posted++;
  }
  if (count == 0) return;
  socket.fill.produce(count);
  socket.fill.publish();
}

// Sockets and TAPs take turns in who is first, so that neither fills every batch.
uint32_t Engine::poll() {
  if (keeper_->ready()) collect();
  tapsFirst_ = !tapsFirst_;
  uint32_t received = tapsFirst_ ? pollTaps(0) : 0;
  received = pollSockets(received);
  return tapsFirst_ ? received : received + pollTaps(received);
}

// Serves the sockets and receives into the vector from entry `received` on; returns how many entries are filled then.
uint32_t Engine::pollSockets(uint32_t received) {
  const auto sockets = static_cast<uint32_t>(active_.size());
  pending_ = false;
  if (next_ >= sockets) next_ = 0;
  const uint32_t first = next_;
  for (uint32_t i = 0; i < sockets; i++) {
    const uint32_t at = first + i < sockets ? first + i : first + i - sockets;
    Socket& socket = *active_[at];
    if (socket.kick) flush(socket);
    if (socket.outstanding > 0) reap(socket);
    if (socket.copies) {
      if (received < spec_.batch && socket.copies->ready()) {
        received += receiveCopies(socket, received, spec_.batch - received);
        next_ = at + 1;
      }
      continue;
    }
    if (received < spec_.batch && socket.rx.ready() > 0) {
      received += receive(socket, received, spec_.batch - received);
      next_ = at + 1;
    }
    refill(socket);
  }
  return received;
}

// Asks for the first bytes of `count` packets at once: the sender's core has written them, and one after the other each would be waited for.
void Engine::prefetch(Socket& socket, uint32_t head, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    const xdp_desc& descriptor = socket.rx.at(head + i);
    const uint64_t place = placeOf(descriptor);
    const uint8_t* bytes = umem_.base() + place;
    __builtin_prefetch(bytes, 1);
    // What is behind the headers of a tunnel begins in the next line.
    if (descriptor.len > CACHE_LINE) __builtin_prefetch(bytes + CACHE_LINE, 1);
    __builtin_prefetch(&umem_.segment(umem_.frameOf(place)), 1);
  }
}

// Moves whole packets from the rx ring into the vector from entry `at` on; at most `limit`.
uint32_t Engine::receive(Socket& socket, uint32_t at, uint32_t limit) {
  const uint32_t ready = socket.rx.ready();
  const uint32_t head = socket.rx.head();
  prefetch(socket, head, std::min(ready, limit));
  uint32_t packets = 0, taken = 0;
  while (packets < limit && taken < ready) {
    // Descriptors of one packet: they end with the first that has no CONTD. An unfinished one waits for its rest.
    uint32_t segments = 1;
    while (taken + segments <= ready && (socket.rx.at(head + taken + segments - 1).options & XDP_PKT_CONTD)) segments++;
    if (taken + segments > ready) break;
    uint32_t total = 0, next = Umem::NONE;
    for (uint32_t i = segments; i-- > 0;) {
      const xdp_desc& descriptor = socket.rx.at(head + taken + i);
      const uint64_t place = placeOf(descriptor);
      const uint32_t frame = umem_.frameOf(place);
      umem_.give(frame, Umem::CALLER);
      umem_.segment(frame) = {next, static_cast<uint32_t>(place), descriptor.len, {}};
      next = frame;
      total += descriptor.len;
    }
    const xdp_desc& firstBuffer = socket.rx.at(head + taken);
    const uint32_t address = spec_.framesOffset + static_cast<uint32_t>(placeOf(firstBuffer));
    writeEntry(at + packets, address, firstBuffer.len, total, socket.port, next);
    taken += segments;
    packets++;
  }
  if (taken > 0) {
    socket.rx.consume(taken);
    socket.posted -= taken;
  }
  return packets;
}

// Returns whether somebody on another core ended it, if that is known. poll and not epoll: an epoll set is told of every packet, also while we are awake and look ourselves.
bool Engine::wait(uint32_t timeoutMicros, bool bound) {
  const uint32_t micros = pending_ ? std::min(timeoutMicros, PENDING_WAIT_MICROS) : timeoutMicros;
  const timespec timeout{micros / 1000000, static_cast<long>(micros % 1000000) * 1000};
  if (bound) berth_.enter();
  if (fallAsleep()) ppoll(waiting_.data(), waiting_.size(), &timeout, nullptr);
  std::optional<Waker> waker;
  if (copyState_ != nullptr) {
    copyState_->setAsleep(false);
    copyState_->woken();
    waker = copyState_->takeWaker();
  }
  const bool far = bound && berth_.leave(waker);
  if (waiting_[0].revents == 0) return far;
  eventfd_t value;
  eventfd_read(wake_.get(), &value);
  return far;
}

bool Engine::inject(uint32_t at, const uint8_t* bytes, uint32_t length, uint32_t port) {
  const uint32_t room = umem_.frameSize() - HEADROOM;
  const uint32_t segments = std::max(1u, (length + room - 1) / room);
  if (at >= spec_.vectorCapacity || segments > umem_.available()) return false;
  uint32_t next = Umem::NONE, end = length, head = 0;
  // From the last segment to the first, so that each knows its successor.
  for (uint32_t i = segments; i-- > 0;) {
    const uint32_t frame = umem_.take(Umem::CALLER);
    const uint32_t start = i * room;
    const auto offset = static_cast<uint32_t>(umem_.offsetOf(frame)) + HEADROOM;
    memcpy(umem_.base() + offset, bytes + start, end - start);
    umem_.segment(frame) = {next, offset, end - start, {}};
    next = head = frame;
    end = start;
  }
  const Umem::Segment& first = umem_.segment(head);
  writeEntry(at, spec_.framesOffset + first.offset, first.length, length, port, head);
  return true;
}

}  // namespace pteropus
