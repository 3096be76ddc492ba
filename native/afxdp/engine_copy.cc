// The engine's part of receiving from rings that the kernel copies packets into (copy_ring.h).
#include <arpa/inet.h>
#include <poll.h>

#include <cstring>
#include <ctime>

#include "afxdp/engine.h"

namespace pteropus {

namespace {

// Where a VLAN tag stands in a packet, and how long it is (IEEE 802.1Q).
constexpr uint32_t TAG_AT = 12;
constexpr uint32_t TAG = 4;
constexpr long SCARCE_PAUSE_NANOS = 100'000;

}  // namespace

// Puts a packet into frames and entry `at`; false: there are not enough free ones.
bool Engine::place(uint32_t at, const CopyRing::Packet& packet, uint32_t port) {
  if (packet.tag == 0 || packet.length < TAG_AT) return inject(at, packet.bytes, packet.length, port);
  const auto protocol = static_cast<uint16_t>(packet.tag);
  const uint16_t control = htons(static_cast<uint16_t>(packet.tag >> 16));
  tagged_.resize(packet.length + TAG);
  memcpy(tagged_.data(), packet.bytes, TAG_AT);
  memcpy(tagged_.data() + TAG_AT, &protocol, sizeof protocol);
  memcpy(tagged_.data() + TAG_AT + sizeof protocol, &control, sizeof control);
  memcpy(tagged_.data() + TAG_AT + TAG, packet.bytes + TAG_AT, packet.length - TAG_AT);
  return inject(at, tagged_.data(), packet.length + TAG, port);
}

// Moves packets from the ring into the vector from entry `at` on; at most `limit`, and none into the last quarter of the frames, which is
// for what comes by other ports. What stays there waits for frames that are sent.
uint32_t Engine::receiveCopies(Socket& socket, uint32_t at, uint32_t limit) {
  CopyRing& ring = *socket.copies;
  uint32_t packets = 0;
  while (packets < limit && !framesScarce()) {
    const CopyRing::Packet packet = ring.next();
    if (packet.length == 0 || !place(at + packets, packet, socket.port)) break;
    ring.pass();
    packets++;
  }
  ring.release();
  return packets;
}

bool Engine::framesScarce() const { return umem_.available() <= umem_.count() / 4; }

// Has the programs wake us from now on; false: there is something to do already.
bool Engine::fallAsleep() {
  if (copyState_ == nullptr) return true;
  if (framesScarce()) {
    // Rings may hold packets that have to wait: looking into them would keep us awake.
    const timespec pause{0, SCARCE_PAUSE_NANOS};
    ppoll(waiting_.data(), 1, &pause, nullptr);
    return false;
  }
  copyState_->setAsleep(true);
  for (const CopyRing* ring : copying_) {
    if (!ring->stirs()) continue;
    copyState_->setAsleep(false);
    return false;
  }
  return true;
}

}  // namespace pteropus
