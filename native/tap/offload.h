// What a packet of a TAP still lacks, as its virtio-net header tells it (virtio 1.2, section 5.1.6): a checksum, and perhaps
// the cut into segments. Kept beside the packet's first frame until it leaves: another TAP is told the same, everywhere else
// the packet is completed first.
#pragma once
#include <cstdint>

#include "tap/vnet.h"

namespace pteropus {

struct Offload {
  enum Kind : uint8_t { None, Checksum, TcpSegments, UdpSegments };
  Kind kind = None;
  bool ecn = false;      // TCP segments: CWR belongs to the first one only
  uint16_t field = 0;    // where the checksum goes, bytes from `start`
  uint16_t segment = 0;  // payload of each segment, bytes
  uint32_t start = 0;    // first byte the checksum covers, from the frames' base
};

// A packet on its way out: its first buffer, and where the headers are in it (bytes from its begin).
struct Leaving {
  uint8_t* first;
  uint32_t length;  // of the first buffer
  uint32_t total;
  uint32_t l3;     // of the packet the offload speaks of (inside a tunnel: the inner one)
  uint32_t l4;     // the header that policies judged it by
  uint32_t protocol;
  uint32_t start;  // Offload::start
};

// One contiguous part of a packet.
struct Piece {
  const uint8_t* data;
  uint32_t length;
};

// Reads the header of a packet that came: `first` bytes of `total` lie at `packet`, which is `offset` from the frames' base.
// False if the header cannot be true; who writes them may be a pod's own program (packet sockets), so nothing is believed.
bool readOffload(const VnetHeader& header, const uint8_t* packet, uint32_t first, uint32_t total, uint32_t offset, Offload& offload);

// Length of TCP's or UDP's header at `start`, or 0 if it is not wholly in the first buffer.
uint32_t transportHeader(const Offload& offload, const uint8_t* packet, uint32_t length, uint32_t start);

// Whether what is lacking lies where it may: at its own place in the header that was judged, or behind that header. Anywhere else a pod
// would have its addresses or ports written anew after policies have judged them.
bool mayComplete(const Leaving& packet, const Offload& offload);

// Whether the checksum is that of the packet's own TCP or UDP header, and not of something deeper inside.
bool coversTransport(const Leaving& packet, const Offload& offload);

// Writes what a receiver of an incomplete checksum expects in its field: the sum over the pseudo header as it is now, after
// all rewriting. Where the checksum belongs to something deeper inside, its field was not touched and stays.
void writePseudo(const Leaving& packet, const Offload& offload);

// The header for another TAP.
VnetHeader describe(const Leaving& packet, const Offload& offload);

// Completes the checksum over the packet's pieces; the first begins with the first buffer. writePseudo came before.
void completeChecksum(const Leaving& packet, const Offload& offload, const Piece* pieces, uint32_t count);

// One's complement sum over bytes that come in pieces of any length.
class Sum {
 public:
  void add(const uint8_t* data, uint32_t length);
  void addWord(uint16_t word) { sum_ += word; }  // as loaded
  uint16_t folded() const;

 private:
  uint64_t sum_ = 0;
  bool odd_ = false;
};

// Sum of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1) for `length` bytes from the transport header on.
void addPseudo(Sum& sum, const uint8_t* l3, uint8_t protocol, uint32_t length);

}  // namespace pteropus
