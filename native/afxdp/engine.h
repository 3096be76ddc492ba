// All AF_XDP sockets and TAPs of one worker over one memory: opens ports, and moves batches between them and the packet vector.
#pragma once
#include <poll.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "afxdp/keeper.h"
#include "afxdp/socket.h"
#include "afxdp/umem.h"
#include "common/fd.h"
#include "common/layout.h"
#include "tap/berth.h"
#include "tap/reader.h"
#include "tap/stream.h"

namespace pteropus {

struct EngineSpec {
  uint8_t* memory;
  uint64_t memorySize;
  uint32_t vectorOffset, vectorCapacity;
  uint32_t framesOffset, frameSize, frameCount;
  uint32_t batch;
  Share share;
};

// A port that was asked for: it is open, or `error` says why not.
struct Opened {
  uint32_t port;
  AttachMode mode;  // never Auto
  bool multiBuffer;
  std::optional<SystemError> error;
};

struct Counters {
  uint64_t rxDropped = 0, txFull = 0, fillEmpty = 0, invalid = 0;
};

struct FrameCounts {
  uint32_t total, free, caller, kernel;
};

class Engine {
 public:
  explicit Engine(const EngineSpec& spec);

  // Ports under way are opened, served ones closed before it returns.
  ~Engine();

  // Starts opening a port in the background; its end is in `opened`. EEXIST, EINVAL for the index.
  void openPort(uint32_t index, PortSpec spec);
  // Ports that were opened, or failed to, since the last call.
  std::vector<Opened> opened();
  // openPort, and waits for it.
  Opened addPort(uint32_t index, PortSpec spec);
  // Ends service at once; the kernel's part is undone in the background, then the frames come back.
  void removePort(uint32_t index);
  // `bound`: it does not look before it waits, and waits on the core whose packet ended the last pause (tap/berth.h); the thread stays there
  // until a step is not.
  uint32_t step(uint32_t transmit, uint32_t timeoutMicros, bool bound);
  // The first part of a step.
  void send(uint32_t transmit);
  bool inject(uint32_t at, const uint8_t* bytes, uint32_t length, uint32_t port);
  Counters counters(uint32_t port) const;
  // Packets leave by the injector now; it may end while the port is open.
  bool injects(uint32_t port) const;
  FrameCounts frames() const;
  int wakeFd() const { return wake_.get(); }

 private:
  uint32_t word(uint32_t entry, uint32_t offset) const;
  void setWord(uint32_t entry, uint32_t offset, uint32_t value);
  void writeEntry(uint32_t at, uint32_t address, uint32_t length, uint32_t total, uint32_t port, uint32_t handle);
  void setSegment(uint32_t entry, uint32_t length);

  void collect();
  void waitForOpening(uint32_t index);
  void serve(std::unique_ptr<Port> port);
  FirstFrames firstFrames();
  uint16_t newSocketId();
  void listWaiting();

  bool enqueue(Port& port, Socket& socket, uint32_t frame, uint32_t offset, uint32_t length);
  bool enqueueToSocket(Port& port, Socket& socket, uint32_t frame, uint32_t offset, uint32_t length, uint32_t segments);
  void flush(Socket& socket);
  void reap(Socket& socket);
  void refill(Socket& socket);
  uint32_t poll();
  uint32_t pollSockets(uint32_t received);
  void prefetch(Socket& socket, uint32_t head, uint32_t count);
  uint32_t receive(Socket& socket, uint32_t at, uint32_t limit);
  bool wait(uint32_t timeoutMicros, bool bound);

  // In engine_copy.cc.
  uint32_t receiveCopies(Socket& socket, uint32_t at, uint32_t limit);
  bool place(uint32_t at, const CopyRing::Packet& packet, uint32_t port);
  bool framesScarce() const;
  bool fallAsleep();

  // In engine_inject.cc.
  void enqueueToBatch(Port& port, const Socket& socket, uint32_t frame, uint32_t offset, uint32_t length);
  void flush(Injector& injector);

  // In tap/engine_tap.cc.
  uint32_t pollTaps(uint32_t at);
  uint32_t receiveStream(uint32_t at);
  uint32_t receiveTap(Port& port, uint32_t at, uint32_t limit, uint32_t& bytes);
  Port* answering();
  uint32_t receiveAnswer(bool far);
  uint32_t awaitAnswer();
  void dropTap(Port& port);
  bool forwarded(uint32_t entry) const;
  bool leaving(uint32_t entry, const Offload& offload, Leaving& packet) const;
  void trim(uint32_t entry, uint32_t frame);
  uint32_t gather(uint32_t entry, uint32_t frame, Piece* pieces);
  void sendTap(Port& port, uint32_t entry, uint32_t frame);
  bool scatter(uint32_t frame);
  bool complete(uint32_t entry, uint32_t frame, const Offload& offload);
  void sendSegments(Port& port, Socket& socket, uint32_t entry, uint32_t frame, const Offload& offload);

  EngineSpec spec_;
  uint8_t* vector_;
  Umem umem_;
  TapReader taps_;
  Stream stream_;
  Berth berth_;
  Fd wake_;
  std::vector<std::unique_ptr<Port>> ports_;  // by port index
  std::vector<bool> opening_;                 // by port index
  std::vector<bool> ids_;                     // by socket id: in use
  std::vector<Opened> opened_;
  std::vector<Socket*> active_;
  std::vector<Injector*> injectors_;  // of served ports, now or before
  std::vector<CopyRing*> copying_;   // those of `active_`
  CopyState* copyState_ = nullptr;   // of all of them, as long as there is one
  std::vector<uint8_t> tagged_;      // a packet with its VLAN tag back in place
  std::vector<pollfd> waiting_;  // the wake descriptor, then those of `active_`
  uint32_t next_ = 0;     // socket to receive from first: each in its turn
  bool tapsFirst_ = false;
  uint32_t sentTo_ = layout::PORT_NONE;  // the TAP that was written to last
  uint64_t sentAt_ = 0;                  // when, in nanoseconds
  uint32_t answers_ = 0;                 // how often an answer was looked for there first
  bool pending_ = false;  // some socket has entries to send that the kernel did not take
  std::optional<Keeper> keeper_;  // last, so that it ends before what it uses
};

}  // namespace pteropus
