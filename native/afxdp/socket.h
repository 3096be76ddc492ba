// One AF_XDP socket: one rx queue of one device, with its own fill and completion ring over the shared frames.
#pragma once
#include <linux/if_xdp.h>

#include <memory>
#include <string>

#include "afxdp/copy_ring.h"
#include "afxdp/ring.h"
#include "afxdp/umem.h"
#include "common/fd.h"

namespace pteropus {

// Entries of the fill and rx rings: what TCP windows of several connections put there while the worker does not run. With 1024
// one packet in 300 was lost on a machine short of cores, with 4096 none.
constexpr uint32_t RECEIVE_RING = 4096;
// Of the tx and completion rings: a step sends at most 256 packets, of up to 17 descriptors each.
constexpr uint32_t SEND_RING = 1024;

enum class Receives { Yes, No };

struct Socket {
  // Opens and binds it; must run in the device's namespace. `share` is a bound socket over the same frames, or -1 for the
  // first one, which registers the frames. SystemError with errno: EBUSY if the queue has a socket already.
  Socket(Umem& umem, int share, uint32_t ifindex, uint32_t queue, Receives receives, const std::string& object);
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Declared first, closed last: rings are unmapped before.
  Fd fd;
  Ring<uint64_t> fill;
  Ring<uint64_t> completion;
  Ring<xdp_desc> rx;
  Ring<xdp_desc> tx;

  // The kernel accepts packets of several buffers (XDP_USE_SG, 6.6). A property of the frames' first socket.
  bool multiBuffer = false;

  // What the device receives comes by it, and nothing by the rx ring, which is not there then.
  std::unique_ptr<CopyRing> copies;

  const uint32_t queue;  // of the device
  uint16_t id = 0;
  uint32_t port = 0;
  uint32_t posted = 0;       // frames given for receiving and not yet received
  uint32_t outstanding = 0;  // frames given for sending and not yet completed
  uint32_t base = 0;         // wanted value of `posted` at first, and always to be had
  uint32_t target = 0;       // wanted value of `posted`; grows when it was too little
  uint32_t calm = 0;         // refills in a row that did not find it too little
  bool kick = false;         // the tx ring has entries the kernel was not told of
  bool dead = false;         // the device has vanished
};

// What the kernel counted (XDP_STATISTICS); zeros if the device has vanished.
xdp_statistics statistics(const Socket& socket);

}  // namespace pteropus
