// The engine's part of sending by an injector (injector.h).
#include <cstring>

#include "afxdp/engine.h"

namespace pteropus {

// Copies a packet and its chain, which is whole, into the batch, to leave by the socket's queue; the frames stay the caller's. One that cannot be sent is counted.
void Engine::enqueueToBatch(Port& port, const Socket& socket, uint32_t frame, uint32_t offset, uint32_t length) {
  uint32_t total = length;
  for (uint32_t f = umem_.segment(frame).next; f != Umem::NONE; f = umem_.segment(f).next) total += umem_.segment(f).length;
  if (total < Injector::SHORTEST || total > Injector::LONGEST) {
    port.invalid++;
    return;
  }
  Injector& injector = *port.injector;
  uint8_t* to = injector.add(port.device.index, socket.queue, port.index, total);
  if (to == nullptr) {
    flush(injector);
    to = injector.add(port.device.index, socket.queue, port.index, total);
  }
  memcpy(to, umem_.base() + offset, length);
  for (uint32_t f = umem_.segment(frame).next; f != Umem::NONE; f = umem_.segment(f).next) {
    to += length;
    length = umem_.segment(f).length;
    memcpy(to, umem_.base() + umem_.segment(f).offset, length);
  }
}

void Engine::flush(Injector& injector) {
  injector.flush([this](uint32_t port) { ports_[port]->txFull++; });
  if (!injector.broken()) return;
  // Their sockets are there for that.
  for (const auto& port : ports_) {
    if (port && port->injector == &injector) port->injector = nullptr;
  }
}

}  // namespace pteropus
