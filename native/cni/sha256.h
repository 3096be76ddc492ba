// SHA-256 (FIPS 180-4): names of pods' links are cut out of it (control/agent/links.ts).
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace pteropus::cni {

// The first eight bytes of the digest, as a big-endian number.
uint64_t sha256Head(std::string_view text);

}  // namespace pteropus::cni
