// The little of the network configuration that must be known to reach the agent; the agent reads the rest.
#pragma once
#include <string>
#include <string_view>
#include <variant>

#include "answer.h"

namespace pteropus::cni {

constexpr const char* kDefaultSocket = "/run/pteropus/cni.sock";
constexpr int kDefaultTimeoutMs = 30'000;
constexpr int kLongestTimeoutMs = 3'600'000;

struct NetConf {
  std::string version;
  std::string socket = kDefaultSocket;
  int timeoutMs = kDefaultTimeoutMs;
};

// Or the answer that says what is wrong: code 6, 1 or 7.
std::variant<NetConf, Answer> readNetConf(std::string_view text);

}  // namespace pteropus::cni
