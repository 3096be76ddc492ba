// The XDP program that hands every packet of a device to its AF_XDP sockets, loaded with raw bpf(2): no clang, no libbpf.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "afxdp/device.h"
#include "common/fd.h"

namespace pteropus {

struct Attachment {
  Fd map;   // XSKMAP: rx queue -> socket; closed: it is in the shared one
  Fd link;  // detaches when closed, so also when the process dies
  bool native = false;
};

// Tap: no program; the device is a TAP, whose packets are read and written. Copy: what comes is copied into a ring (copy_ring.h), what goes
// is sent as with the others; Auto where the kernel cannot do that.
enum class AttachMode { Native, Generic, Auto, Tap, Copy };

// One program for all devices with one rx queue. Each further program that is attached changes the kernel's dispatcher of XDP programs,
// for which it waits until no packet is under way (10 to 30 ms, bpf_dispatcher_change_prog); another device of the same program does not.
class SharedRedirect {
 public:
  // The program, after this device's packets were led to the socket; -1 if there is no room for it: another device of an equal place is
  // open. The place is free again when the socket is closed.
  int add(uint32_t ifindex, int socket, const std::string& object);

 private:
  Fd map_;  // XSKMAP: place of the device -> socket
  Fd program_;
};

// The program of a device whose queues are shared out among the engines of this process, one for each worker: the first that opens the
// device attaches it, the last that closes it detaches it. A queue whose socket is away drops its packets: no other stack is to see them.
struct JointAttachment {
  Fd map;  // XSKMAP: rx queue -> socket; the kernel takes a socket out of it that is closed
  Fd link;
  bool native = false;
};

struct QueueSocket {
  uint32_t queue;
  int socket;
};

// Must run in the device's namespace. Callable from any thread.
std::shared_ptr<JointAttachment> joinRedirect(const Device& device, const std::vector<QueueSocket>& sockets, AttachMode mode,
                                              const std::string& object);

// Attaches the program that hands a device's packets to the sockets (index = rx queue). Must run in the device's namespace.
Attachment attachRedirect(SharedRedirect& shared, uint32_t ifindex, const std::vector<int>& sockets, AttachMode mode,
                          const std::string& object);

}  // namespace pteropus
