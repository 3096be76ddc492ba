// VPP's own client library, loaded when it is asked for: nothing of VPP is needed to build. Its functions are process-global, so there is
// one of it in a process, and one connection at a time.
#pragma once
#include <cstdint>
#include <string>

namespace pteropus {

struct ClientLibrary {
  using Receive = void (*)(unsigned char* message, int length);

  void (*initialize)(size_t heap);
  // Returns 0, or a negative number.
  int (*connect)(char* name, char* prefix, Receive receive, int queueLength);
  int (*disconnect)();
  // Without the header of the transport; the client index in it is overwritten. Waits while VPP's queue is full.
  int (*write)(char* message, int length);
  // By name, underscore and CRC; negative: VPP has no such message.
  int (*messageIndex)(char* name);

  // Throws SystemError: another library is loaded already (EBUSY), or it does not load (ENOENT, with the loader's words).
  static ClientLibrary load(const std::string& path);
};

}  // namespace pteropus
