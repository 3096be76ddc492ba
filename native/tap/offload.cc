#include "tap/offload.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace pteropus {

namespace {

constexpr uint8_t TCP = 6, UDP = 17, GRE = 47;
constexpr uint16_t TCP_FIELD = 16, UDP_FIELD = 6, GRE_FIELD = 4;
// No header is shorter that has another one behind it, but GRE's, behind which an IP header comes first.
constexpr uint32_t LEAST_HEADER = 8;
constexpr uint32_t ETHERNET = 14;
// Linux takes no smaller MSS (TCP_MIN_SND_MSS): below it one packet would become thousands.
constexpr uint16_t LEAST_SEGMENT = 48;

uint16_t load16(const uint8_t* at) {
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

void store16(uint8_t* at, uint16_t value) { memcpy(at, &value, sizeof value); }

// Little-endian machines only, as the rest of the data plane.
uint64_t sumWords(const uint8_t* data, uint32_t length) {
  uint64_t sum = 0;
  for (; length >= 4; data += 4, length -= 4) {
    uint32_t word;
    memcpy(&word, data, sizeof word);
    sum += word;
  }
  if (length >= 2) {
    sum += load16(data);
    data += 2;
    length -= 2;
  }
  return length > 0 ? sum + *data : sum;
}

uint16_t fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>((sum & 0xffff) + (sum >> 16));
}

bool offloadKind(uint8_t type, Offload& offload) {
  offload.ecn = (type & VnetHeader::GSO_ECN) != 0;
  switch (type & ~VnetHeader::GSO_ECN) {
    case VnetHeader::GSO_NONE: offload.kind = Offload::Checksum; return true;
    case VnetHeader::GSO_TCP4:
    case VnetHeader::GSO_TCP6: offload.kind = Offload::TcpSegments; return offload.field == TCP_FIELD;
    case VnetHeader::GSO_UDP: offload.kind = Offload::UdpSegments; return offload.field == UDP_FIELD;
    default: return false;
  }
}

}  // namespace

void Sum::add(const uint8_t* data, uint32_t length) {
  const uint16_t part = fold(sumWords(data, length));
  sum_ += odd_ ? __builtin_bswap16(part) : part;
  odd_ ^= (length & 1) != 0;
}

uint16_t Sum::folded() const { return fold(sum_); }

void addPseudo(Sum& sum, const uint8_t* l3, uint8_t protocol, uint32_t length) {
  if (l3[0] >> 4 == 4) sum.add(l3 + 12, 8);
  else sum.add(l3 + 8, 32);
  sum.addWord(htons(protocol));
  sum.addWord(htons(static_cast<uint16_t>(length)));
}

bool readOffload(const VnetHeader& header, const uint8_t* packet, uint32_t first, uint32_t total, uint32_t offset, Offload& offload) {
  offload = {};
  if ((header.flags & VnetHeader::NEEDS_CHECKSUM) == 0) return header.gsoType == VnetHeader::GSO_NONE;
  const uint32_t start = header.checksumStart;
  offload.field = header.checksumOffset;
  offload.start = offset + start;
  if (start < ETHERNET || start + offload.field + 2u > first || !offloadKind(header.gsoType, offload)) return false;
  if (offload.kind == Offload::Checksum) return true;
  offload.segment = header.gsoSize;
  if (offload.segment < LEAST_SEGMENT) return false;
  const uint32_t transport = transportHeader(offload, packet, first, start);
  return transport != 0 && start + transport < total;
}

uint32_t transportHeader(const Offload& offload, const uint8_t* packet, uint32_t length, uint32_t start) {
  if (offload.kind == Offload::UdpSegments) return start + 8 <= length ? 8 : 0;
  if (start + 20 > length) return 0;
  const uint32_t size = (packet[start + 12] >> 4) * 4u;
  return size >= 20 && start + size <= length ? size : 0;
}

bool mayComplete(const Leaving& packet, const Offload& offload) {
  if (coversTransport(packet, offload)) return true;
  // Who cuts a packet writes into its own transport header.
  if (offload.kind != Offload::Checksum) return false;
  if (packet.start == packet.l4) return packet.protocol == GRE && offload.field == GRE_FIELD;
  return packet.protocol != TCP && packet.start >= packet.l4 + LEAST_HEADER;
}

bool coversTransport(const Leaving& packet, const Offload& offload) {
  if (packet.start != packet.l4) return false;
  return (packet.protocol == TCP && offload.field == TCP_FIELD) || (packet.protocol == UDP && offload.field == UDP_FIELD);
}

void writePseudo(const Leaving& packet, const Offload& offload) {
  if (!coversTransport(packet, offload)) return;
  Sum sum;
  addPseudo(sum, packet.first + packet.l3, offload.field == TCP_FIELD ? TCP : UDP, packet.total - packet.start);
  store16(packet.first + packet.start + offload.field, sum.folded());
}

VnetHeader describe(const Leaving& packet, const Offload& offload) {
  VnetHeader header{};
  header.flags = VnetHeader::NEEDS_CHECKSUM;
  header.checksumStart = static_cast<uint16_t>(packet.start);
  header.checksumOffset = offload.field;
  if (offload.kind == Offload::Checksum) return header;
  const bool four = packet.first[packet.l3] >> 4 == 4;
  header.gsoType = offload.kind == Offload::UdpSegments ? VnetHeader::GSO_UDP : four ? VnetHeader::GSO_TCP4 : VnetHeader::GSO_TCP6;
  if (offload.ecn) header.gsoType |= VnetHeader::GSO_ECN;
  header.gsoSize = offload.segment;
  header.headerLength = static_cast<uint16_t>(packet.start + transportHeader(offload, packet.first, packet.length, packet.start));
  return header;
}

void completeChecksum(const Leaving& packet, const Offload& offload, const Piece* pieces, uint32_t count) {
  Sum sum;
  sum.add(pieces[0].data + packet.start, pieces[0].length - packet.start);
  for (uint32_t i = 1; i < count; i++) sum.add(pieces[i].data, pieces[i].length);
  const auto checksum = static_cast<uint16_t>(~sum.folded());
  // Zero would mean "none" in UDP (RFC 768); for TCP both zeros are equal.
  store16(packet.first + packet.start + offload.field, checksum == 0 ? 0xffff : checksum);
}

}  // namespace pteropus
