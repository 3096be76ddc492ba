// What the program answers by itself, without the agent: codes of the CNI specification (section 5).
#pragma once
#include <string>
#include <string_view>

#include "json.h"

namespace pteropus::cni {

enum Code {
  kIncompatibleVersion = 1,
  kInvalidEnvironment = 4,
  kIoFailure = 5,
  kDecodingFailure = 6,
  kInvalidConfig = 7,
  kTryAgainLater = 11,
  kUnavailable = 50,  // STATUS: ADD cannot be served
  kLimited = 51,      // STATUS: and what runs suffers too
  kDiffers = 101,     // CHECK
};

// Versions of the specification we speak, oldest first. The agent says the same (control/cni/netconf.ts); a test holds them together.
constexpr std::string_view kVersions[] = {"0.3.1", "0.4.0", "1.0.0", "1.1.0"};
constexpr std::string_view kNewest = "1.1.0";

struct Answer {
  int exit;
  std::string text;  // for standard output
};

inline Answer failure(std::string_view version, Code code, std::string_view message) {
  return {1, "{\"cniVersion\":" + quoteJson(version) + ",\"code\":" + std::to_string(code) + ",\"msg\":" + quoteJson(message) +
                 "}\n"};
}

}  // namespace pteropus::cni
