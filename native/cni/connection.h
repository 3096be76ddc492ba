// A call over the agent's socket, with a deadline.
#pragma once
#include <string>
#include <string_view>

namespace pteropus::cni {

// Makes one call. Throws Unreachable, if nobody is there, or CallError: no answer in time, or none that can be read.
std::string callUnary(const std::string& socketPath, std::string_view method, std::string_view message, int timeoutMs);

}  // namespace pteropus::cni
