// All AF_XDP sockets of one worker over one memory: opens ports, and moves batches between them and the packet vector.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "afxdp/device.h"
#include "afxdp/program.h"
#include "afxdp/socket.h"
#include "afxdp/umem.h"
#include "common/fd.h"
#include "common/layout.h"

namespace pteropus {

struct EngineSpec {
  uint8_t* memory;
  uint64_t memorySize;
  uint32_t vectorOffset, vectorCapacity;
  uint32_t framesOffset, frameSize, frameCount;
  uint32_t batch;
};

struct PortSpec {
  int netnsFd;  // negative: the process's own namespace
  std::string netnsPath;
  std::string link;
  AttachMode mode;
  uint32_t mtu;
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

  struct Added {
    bool native;
    bool multiBuffer;
  };
  Added addPort(uint32_t port, const PortSpec& spec);
  void removePort(uint32_t port);
  uint32_t step(uint32_t transmit, uint32_t timeoutMicros);
  bool inject(uint32_t at, const uint8_t* bytes, uint32_t length, uint32_t port);
  Counters counters(uint32_t port) const;
  FrameCounts frames() const;
  int wakeFd() const { return wake_.get(); }

 private:
  struct Port {
    Attachment attachment;
    std::vector<std::unique_ptr<Socket>> sockets;
    std::string object;
    Device device{};
    uint64_t txFull = 0;
    uint64_t invalid = 0;
  };

  uint32_t word(uint32_t entry, uint32_t offset) const;
  void setWord(uint32_t entry, uint32_t offset, uint32_t value);
  void writeEntry(uint32_t at, uint32_t address, uint32_t length, uint32_t total, uint32_t port, uint32_t handle);

  std::unique_ptr<Socket> openSocket(uint32_t ifindex, uint32_t queue, const std::string& object);
  uint16_t freeSocketId() const;
  void start(Socket& socket, uint32_t port);
  void drop(std::unique_ptr<Port> port);

  void send(uint32_t count);
  bool enqueue(Port& port, Socket& socket, uint32_t frame, uint32_t offset, uint32_t length);
  void flush(Socket& socket);
  void reap(Socket& socket);
  void refill(Socket& socket);
  uint32_t poll();
  uint32_t receive(Socket& socket, uint32_t at, uint32_t limit);
  void wait(uint32_t timeoutMicros);

  EngineSpec spec_;
  uint8_t* vector_;
  Umem umem_;
  Fd epoll_;
  Fd wake_;
  std::vector<std::unique_ptr<Port>> ports_;  // by port index
  std::vector<Socket*> active_;
  uint32_t next_ = 0;  // socket to receive from first: each in its turn
  bool multiBuffer_ = false;
  bool pending_ = false;  // some socket has entries to send that the kernel did not take
};

}  // namespace pteropus
