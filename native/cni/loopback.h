// The `loopback` plugin, for nodes that have none: containerd before 2.0 and CRI-O call it for each sandbox, and fail without.
#pragma once
#include <string_view>

#include "answer.h"
#include "environment.h"

namespace pteropus::cni {

// By this name we are it.
constexpr std::string_view kLoopback = "loopback";

// Of any command but VERSION. `text`: the network configuration.
Answer loopback(const Variables& variables, std::string_view text);

// Runtimes ask for older versions here than of the network: the results differ in little.
constexpr std::string_view kLoopbackVersions[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

}  // namespace pteropus::cni
