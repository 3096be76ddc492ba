#include "tap/segment.h"

#include <arpa/inet.h>

#include <cstring>

namespace pteropus {

namespace {

constexpr uint8_t FIN = 1, PSH = 8, CWR = 128;
constexpr uint8_t TCP = 6, UDP = 17;

void store16(uint8_t* at, uint32_t value) {
  const uint16_t word = htons(static_cast<uint16_t>(value));
  memcpy(at, &word, sizeof word);
}

uint16_t load16(const uint8_t* at) {
  uint16_t word;
  memcpy(&word, at, sizeof word);
  return ntohs(word);
}

// IPv4 header checksum (RFC 791).
void sealIp4(uint8_t* l3) {
  memset(l3 + 10, 0, 2);
  Sum sum;
  sum.add(l3, (l3[0] & 15u) * 4);
  const auto checksum = static_cast<uint16_t>(~sum.folded());
  memcpy(l3 + 10, &checksum, sizeof checksum);
}

}  // namespace

Cut::Cut(const Leaving& packet, const Offload& offload, bool tunnel)
    : packet_(packet), offload_(offload), tunnel_(tunnel), headers_(0) {
  const uint32_t transport = transportHeader(offload, packet.first, packet.length, packet.start);
  if (transport == 0 || packet.start + transport >= packet.total || !coversTransport(packet, offload)) return;
  // No stack segments what has extension headers (IPv6).
  const uint8_t* l3 = packet.first + packet.l3;
  if (l3[0] >> 4 != 4 && l3[6] != packet.protocol) return;
  headers_ = packet.start + transport;
}

void Cut::write(uint8_t* out, uint32_t at, uint32_t length, const Sum& payload) const {
  memcpy(out, packet_.first, headers_);
  if (tunnel_) writeOuter(out, headers_ + length);
  uint8_t* l3 = out + packet_.l3;
  uint8_t* l4 = out + packet_.start;
  writeIp(l3, at, headers_ + length - packet_.l3);
  const uint32_t transport = headers_ - packet_.start;
  const bool tcp = offload_.kind == Offload::TcpSegments;
  if (tcp) writeTcp(l4, at, length);
  else store16(l4 + 4, transport + length);
  memset(l4 + offload_.field, 0, 2);
  // Headers have an even length, so the payload's sum stands as it is.
  Sum sum = payload;
  Sum head;
  head.add(l4, transport);
  addPseudo(head, l3, tcp ? TCP : UDP, transport + length);
  head.addWord(sum.folded());
  auto checksum = static_cast<uint16_t>(~head.folded());
  if (checksum == 0) checksum = 0xffff;
  memcpy(l4 + offload_.field, &checksum, sizeof checksum);
}

// The template's identification (0, never fragmented) and its UDP checksum (none) stay.
void Cut::writeOuter(uint8_t* out, uint32_t length) const {
  store16(out + 16, length - 14);
  sealIp4(out + 14);
  store16(out + 38, length - 34);
}

void Cut::writeIp(uint8_t* l3, uint32_t at, uint32_t length) const {
  if (l3[0] >> 4 != 4) {
    store16(l3 + 4, length - 40);
    return;
  }
  store16(l3 + 2, length);
  // Each segment its own identification, counted on as Linux does.
  store16(l3 + 4, load16(l3 + 4) + at / offload_.segment);
  sealIp4(l3);
}

void Cut::writeTcp(uint8_t* tcp, uint32_t at, uint32_t length) const {
  uint32_t sequence;
  memcpy(&sequence, tcp + 4, sizeof sequence);
  sequence = htonl(ntohl(sequence) + at);
  memcpy(tcp + 4, &sequence, sizeof sequence);
  const bool last = at + length == payload();
  if (!last) tcp[13] &= static_cast<uint8_t>(~(FIN | PSH));
  if (at > 0) tcp[13] &= static_cast<uint8_t>(~CWR);
}

}  // namespace pteropus
