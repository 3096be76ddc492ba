// What must be known of a device before sockets are opened on it.
#pragma once
#include <cstdint>
#include <string>

namespace pteropus {

struct Device {
  uint32_t index;
  uint64_t netns;   // inode of its namespace; with the index it names the device on this machine
  uint32_t queues;  // receive queues: each needs a socket
  bool veth;        // the end of a pair
};

// Must run in the device's namespace; ENODEV if there is no such link.
Device findDevice(const std::string& link, const std::string& object);

}  // namespace pteropus
