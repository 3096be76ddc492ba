// The engine's part for TAPs: receiving from them, sending to them, and completing what came from one before it leaves by an
// AF_XDP socket.
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

#include "afxdp/engine.h"
#include "common/clock.h"
#include "tap/segment.h"

namespace pteropus {

namespace {

using namespace layout;

// What one TAP may bring into a batch, so that its many packets do not keep the others waiting.
constexpr uint32_t TURN_PACKETS = 32;
// What all TAPs bring into a batch until it is sent: about one segment. It is then still in the core's nearest caches when it is copied out of its
// buffer, and the next one is copied into the same.
constexpr uint32_t BATCH_BYTES = 32 * 1024;
// Buffers of one packet: 64 KiB in frames of 2 KiB, and some.
constexpr uint32_t MAX_PIECES = 64;
constexpr uint32_t ETHERNET = 14;
// One sleep of so many ends with a look at everybody.
constexpr uint32_t ANSWERS = 8;
// An answer that takes longer is slept for.
constexpr uint64_t ANSWER_NANOSECONDS = 150000;

}  // namespace

// Receives from the TAPs into the vector from entry `at` on, each in its turn; who has none in this batch has one of the next.
uint32_t Engine::pollTaps(uint32_t at) {
  if (taps_.count() == 0 || at >= spec_.batch) return 0;
  if (taps_.left() == 0) {
    if (const uint32_t received = receiveStream(at)) return received;
    taps_.look();
    stream_.asked(taps_.left());
  }
  const uint32_t begin = at;
  uint32_t bytes = 0;
  while (taps_.left() > 0 && at < spec_.batch && bytes < BATCH_BYTES) {
    // What is left of the batch is shared by those that still wait.
    const uint32_t share = std::max(1u, (spec_.batch - at) / taps_.left());
    at += receiveTap(*ports_[taps_.next()], at, std::min(share, TURN_PACKETS), bytes);
  }
  return at - begin;
}

// Receives from the one who sends segments, and from who answers, as long as it is those two.
uint32_t Engine::receiveStream(uint32_t at) {
  if (!stream_.next()) return 0;
  const uint32_t begin = at;
  for (const uint32_t index : {stream_.sender(), stream_.receiver()}) {
    Port* const port = index == PORT_NONE ? nullptr : ports_[index].get();
    if (port == nullptr || !port->tap.open() || port->dead || at >= spec_.batch) continue;
    uint32_t bytes = 0;
    at += receiveTap(*port, at, 1, bytes);
  }
  if (at == begin) stream_.end();
  return at - begin;
}

// What comes after a packet was sent is most often its answer, from where it went: found with one call instead of three. Null: everybody is
// looked at.
Port* Engine::answering() {
  const bool possible = sentTo_ != PORT_NONE && taps_.left() == 0 && !keeper_->ready() && answers_ % ANSWERS != 0;
  Port* const port = possible ? ports_[sentTo_].get() : nullptr;
  return port != nullptr && port->tap.open() && !port->dead ? port : nullptr;
}

// After a sleep, which somebody on another core ended if `far`.
uint32_t Engine::receiveAnswer(bool far) {
  answers_++;
  Port* const port = answering();
  if (port == nullptr) return 0;
  uint32_t bytes = 0;
  const uint32_t received = receiveTap(*port, 0, 1, bytes);
  port->answersFar = received > 0 && far && nanoseconds() - sentAt_ < ANSWER_NANOSECONDS;
  return received;
}

// Before a sleep. Who answers on another core needs none of ours, and is not to wake us there; everybody else is looked at meanwhile. One sleep of
// ANSWERS shows where the answer comes from by now.
uint32_t Engine::awaitAnswer() {
  Port* const port = answering();
  if (port == nullptr || !port->answersFar) return 0;
  answers_++;
  do {
    uint32_t bytes = 0;
    if (const uint32_t received = receiveTap(*port, 0, 1, bytes)) return received;
    if (const uint32_t received = poll()) return received;
  } while (nanoseconds() - sentAt_ < ANSWER_NANOSECONDS);
  port->answersFar = false;
  return 0;
}

// At most `limit` packets, and none after `bytes`, which counts them, has reached what a batch may have.
uint32_t Engine::receiveTap(Port& port, uint32_t at, uint32_t limit, uint32_t& bytes) {
  TapReader::Packet packet;
  uint32_t packets = 0;
  // Bad packets count too: a flood of them must end as well.
  for (uint32_t tries = 0; tries < limit && bytes < BATCH_BYTES; tries++) {
    const TapReader::Read read = taps_.read(port.tap.get(), packet);
    if (read == TapReader::Read::Empty) break;
    if (read == TapReader::Read::Gone) {
      dropTap(port);
      break;
    }
    if (read == TapReader::Read::Bad) {
      port.invalid++;
      continue;
    }
    const uint32_t entry = at + packets++;
    writeEntry(entry, spec_.framesOffset + packet.offset, packet.length, packet.total, port.index, packet.frame);
    setSegment(entry, packet.segment);
    bytes += packet.total;
    stream_.received(port.index, packet.total);
  }
  return packets;
}

// The device has vanished; the port stays until it is removed.
void Engine::dropTap(Port& port) {
  if (port.dead) return;
  port.dead = true;
  taps_.remove(port.tap.get());
}

// Whether the packet is still the one that came: then its offload holds. Else it became an answer, whole by itself.
bool Engine::forwarded(uint32_t entry) const {
  const uint32_t outcome = word(entry, V_OUTCOME);
  return outcome >= OUT_FORWARD_POD && outcome <= OUT_FORWARD_HOST;
}

bool Engine::leaving(uint32_t entry, const Offload& offload, Leaving& packet) const {
  // No stack sends a fragment before its checksum is there; pieces of one would be fragments of other packets.
  if ((word(entry, V_FLAGS) & (VF_FIRST_FRAGMENT | VF_LATER_FRAGMENT)) != 0) return false;
  const uint32_t address = word(entry, V_ADDRESS) - spec_.framesOffset;
  packet.first = umem_.base() + address;
  packet.length = word(entry, V_LENGTH);
  packet.total = word(entry, V_TOTAL);
  packet.l3 = ETHERNET + (word(entry, V_OUTCOME) == OUT_FORWARD_TUNNEL ? Cut::TUNNEL : 0);
  packet.l4 = word(entry, V_L4) - spec_.framesOffset - address;
  packet.protocol = word(entry, V_PROTOCOL);
  packet.start = offload.start - address;
  return packet.start < packet.length && packet.start + offload.field + 2u <= packet.length && packet.l3 + 20 <= packet.start &&
         packet.l4 < packet.length && mayComplete(packet, offload) && packet.total >= packet.length;
}

// Cuts the chain to V_TOTAL: a packet that became an answer leaves most of its buffers behind.
void Engine::trim(uint32_t entry, uint32_t frame) {
  const uint32_t length = word(entry, V_LENGTH), total = word(entry, V_TOTAL);
  uint32_t left = total > length ? total - length : 0;
  uint32_t* link = &umem_.segment(frame).next;
  while (*link != Umem::NONE && left > 0) {
    Umem::Segment& segment = umem_.segment(*link);
    segment.length = std::min(segment.length, left);
    left -= segment.length;
    link = &segment.next;
  }
  const uint32_t rest = *link;
  *link = Umem::NONE;
  if (rest != Umem::NONE) umem_.releaseChain(rest);
}

// The packet's bytes in order, buffers that follow each other in memory as one piece; 0 if they are not all ours, or too many.
uint32_t Engine::gather(uint32_t entry, uint32_t frame, Piece* pieces) {
  const uint32_t offset = word(entry, V_ADDRESS) - spec_.framesOffset, length = word(entry, V_LENGTH);
  const uint32_t inFrame = offset - static_cast<uint32_t>(umem_.offsetOf(frame));
  if (length == 0 || inFrame >= umem_.frameSize() || length > umem_.frameSize() - inFrame) return 0;
  pieces[0] = {umem_.base() + offset, length};
  uint32_t count = 1;
  for (uint32_t f = umem_.segment(frame).next; f != Umem::NONE; f = umem_.segment(f).next) {
    if (umem_.owner(f) != Umem::CALLER) return 0;
    const Umem::Segment& segment = umem_.segment(f);
    const uint8_t* begin = umem_.bytesOf(f);
    Piece& last = pieces[count - 1];
    if (last.data + last.length == begin) {
      last.length += segment.length;
      continue;
    }
    if (count == MAX_PIECES) return 0;
    pieces[count++] = {begin, segment.length};
  }
  return count;
}

// Writes the packet to a TAP, as whole as it came; the frames stay with the caller.
void Engine::sendTap(Port& port, uint32_t entry, uint32_t frame) {
  Piece pieces[MAX_PIECES];
  const uint32_t count = gather(entry, frame, pieces);
  const Offload& offload = umem_.segment(frame).offload;
  VnetHeader header{};
  bool good = count > 0;
  if (good && offload.kind != Offload::None && forwarded(entry)) {
    Leaving packet;
    good = leaving(entry, offload, packet);
    if (good) {
      writePseudo(packet, offload);
      header = describe(packet, offload);
    }
  }
  if (!good) {
    port.invalid++;
    return;
  }
  stream_.sent(port.index);
  sentTo_ = port.index;
  sentAt_ = nanoseconds();
  iovec parts[MAX_PIECES + 1];
  parts[0] = {&header, sizeof header};
  for (uint32_t i = 0; i < count; i++) parts[i + 1] = {const_cast<uint8_t*>(pieces[i].data), pieces[i].length};
  if (port.dead || writev(port.tap.get(), parts, static_cast<int>(count + 1)) < 0) {
    if (!port.dead && errno == EBADFD) dropTap(port);
    port.txFull++;
  }
}

// Completes the checksum of a packet that leaves by an AF_XDP socket. False: it cannot be.
bool Engine::complete(uint32_t entry, uint32_t frame, const Offload& offload) {
  Piece pieces[MAX_PIECES];
  const uint32_t count = gather(entry, frame, pieces);
  Leaving packet;
  if (count == 0 || !leaving(entry, offload, packet)) return false;
  writePseudo(packet, offload);
  completeChecksum(packet, offload, pieces, count);
  return true;
}

// Moves what is in the packet's large buffer to frames, for a socket. False: there are too few.
bool Engine::scatter(uint32_t frame) {
  const uint32_t large = umem_.segment(frame).next;
  if (!umem_.isLarge(large)) return true;
  const uint8_t* bytes = umem_.bytesOf(large);
  const uint32_t length = umem_.segment(large).length;
  if ((length + umem_.frameSize() - 1) / umem_.frameSize() > umem_.available()) return false;
  uint32_t last = frame;
  for (uint32_t at = 0; at < length; at += umem_.frameSize()) {
    const uint32_t next = umem_.take(Umem::CALLER);
    const uint32_t part = std::min(length - at, umem_.frameSize());
    const auto offset = static_cast<uint32_t>(umem_.offsetOf(next));
    memcpy(umem_.base() + offset, bytes + at, part);
    umem_.segment(next) = {Umem::NONE, offset, part, {}};
    umem_.segment(last).next = next;
    last = next;
  }
  umem_.release(large);
  return true;
}

// Sends the packet as segments, each a packet of its own in new frames.
void Engine::sendSegments(Port& port, Socket& socket, uint32_t entry, uint32_t frame, const Offload& offload) {
  Piece pieces[MAX_PIECES];
  const uint32_t count = gather(entry, frame, pieces);
  Leaving packet;
  const bool good = count > 0 && leaving(entry, offload, packet);
  const Cut cut(good ? packet : Leaving{}, good ? offload : Offload{}, word(entry, V_OUTCOME) == OUT_FORWARD_TUNNEL);
  if (!good || !cut.valid()) {
    port.invalid++;
    return;
  }
  const uint32_t size = umem_.frameSize();
  uint32_t piece = 0, skip = cut.headers();
  for (uint32_t at = 0; at < cut.payload();) {
    const uint32_t length = std::min<uint32_t>(offload.segment, cut.payload() - at);
    const uint32_t head = umem_.take(Umem::CALLER);
    if (head == Umem::NONE) {
      port.txFull++;
      return;
    }
    umem_.segment(head) = {};
    Sum sum;
    uint32_t last = head, used = cut.headers(), firstLength = 0;
    bool whole = true;
    for (uint32_t done = 0; done < length && whole;) {
      if (used == size) {
        const uint32_t next = umem_.take(Umem::CALLER);
        whole = next != Umem::NONE;
        if (!whole) break;
        umem_.segment(last).next = next;
        umem_.segment(next) = {Umem::NONE, static_cast<uint32_t>(umem_.offsetOf(next)), 0, {}};
        last = next;
        used = 0;
      }
      while (piece < count && skip == pieces[piece].length) {
        piece++;
        skip = 0;
      }
      whole = piece < count;
      if (!whole) break;
      const uint32_t part = std::min({length - done, size - used, pieces[piece].length - skip});
      uint8_t* to = umem_.base() + umem_.offsetOf(last) + used;
      memcpy(to, pieces[piece].data + skip, part);
      sum.add(to, part);
      skip += part;
      used += part;
      done += part;
      if (last == head) firstLength = used;
      else umem_.segment(last).length = used;
    }
    const auto offset = static_cast<uint32_t>(umem_.offsetOf(head));
    if (whole) cut.write(umem_.base() + offset, at, length, sum);
    if (!whole) port.txFull++;
    if (!whole || !enqueue(port, socket, head, offset, firstLength)) umem_.releaseChain(head);
    if (!whole) return;
    at += length;
  }
}

}  // namespace pteropus
