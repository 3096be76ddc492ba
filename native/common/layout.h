// The part of dataplane-as/layout that the addon writes. native/layout.test.ts holds the two equal.
#pragma once
#include <cstdint>

namespace pteropus::layout {

constexpr uint32_t VECTOR_SIZE = 64;
constexpr uint32_t V_ADDRESS = 0;
constexpr uint32_t V_LENGTH = 4;
constexpr uint32_t V_TOTAL = 8;
constexpr uint32_t V_RX_PORT = 12;
constexpr uint32_t V_TX_PORT = 16;
constexpr uint32_t V_HANDLE = 20;
constexpr uint32_t V_FLAGS = 24;
constexpr uint32_t V_OUTCOME = 28;
constexpr uint32_t V_L4 = 36;
constexpr uint32_t V_PROTOCOL = 52;
constexpr uint32_t V_HASH = 56;
constexpr uint32_t VF_FIRST_FRAGMENT = 2;
constexpr uint32_t VF_LATER_FRAGMENT = 4;
constexpr uint32_t OUT_FORWARD_POD = 1;
constexpr uint32_t OUT_FORWARD_TUNNEL = 2;
constexpr uint32_t OUT_FORWARD_HOST = 4;
constexpr uint32_t PORT_NONE = 0xffffffff;
constexpr uint32_t HEADROOM = 128;
constexpr uint32_t FRAME_GAP = 64;
constexpr uint32_t MAX_PORTS = 1024;

}  // namespace pteropus::layout
