// The CNI plugin: started by a container runtime for each command (CNI specification, section 2). It passes what it was given to the
// node's agent and prints what the agent answers. Only what must be answered without an agent is answered here: VERSION, missing
// variables, a configuration that cannot be read or is of a version we do not speak, and an agent that is not there; a DEL is done then.
// By the name `loopback` it is that plugin.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <variant>

#include "answer.h"
#include "connection.h"
#include "environment.h"
#include "hearing.h"
#include "loopback.h"
#include "netconf.h"
#include "protobuf.h"
#include "unary.h"
#include "unwire.h"

namespace pteropus::cni {

namespace {

constexpr const char* kMethod = "/pteropus.cni.Cni/Invoke";
// The agent's gRPC server takes 4 MiB; a network configuration with 10,000 valid attachments has one.
constexpr size_t kLargestStdin = 3 << 20;

// An agent or a data plane that is replaced is away for some seconds. A runtime that hears of it by STATUS tells kubelet that the network
// is not ready, kubelet that the node is not, and the node's pods leave their Services: rather the answer takes that long. kubelet waits 30 s
// for its runtime.
constexpr int kAgentReplacedMs = 10'000;
constexpr int kLookMs = 100;

constexpr const char* kUsage =
    "pteropus-cni: the CNI plugin of Pteropus, called by a container runtime.\n"
    "\n"
    "Environment: CNI_COMMAND (ADD, DEL, CHECK, GC, STATUS, VERSION), CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_ARGS, CNI_PATH.\n"
    "Standard input: the network configuration. Standard output: the result or the error, as JSON.\n"
    "CNI specification 0.3.1, 0.4.0, 1.0.0 and 1.1.0. By the name loopback it is that plugin.\n"
    "\n"
    "Network configuration:\n"
    "  cniVersion, name, type   as the specification says\n"
    "  socket                   the agent's socket (default /run/pteropus/cni.sock)\n"
    "  timeoutMs                how long the agent may take (default 30000)\n"
    "\n"
    "pteropus-cni --hear: the node's own stack hears again what comes in by its links. For a node that Pteropus left (k8s/clean-node.sh).\n";

// False: it cannot be read, or is too large (`error` 0).
bool readStdin(std::string& text, int& error) {
  char buffer[65536];
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got == 0) return true;
    if (got < 0 && errno == EINTR) continue;
    error = got < 0 ? errno : 0;
    if (got < 0 || text.size() + static_cast<size_t>(got) > kLargestStdin) return false;
    text.append(buffer, static_cast<size_t>(got));
  }
}

template <size_t N>
Answer versions(const std::string_view (&known)[N]) {
  std::string list;
  for (const std::string_view version : known) list += (list.empty() ? "" : ",") + quoteJson(version);
  return {0, "{\"cniVersion\":" + quoteJson(kNewest) + ",\"supportedVersions\":[" + list + "]}\n"};
}

Answer ask(const NetConf& conf, const std::string& message) {
  const auto answer = decodeOutcome(callUnary(conf.socket, kMethod, message, conf.timeoutMs));
  if (!answer) throw CallError("the agent's answer cannot be read");
  return *answer;
}

// Not an agent's answer that will be the same however often it is asked.
bool mayPass(const Answer& answer) {
  std::string why;
  const auto members = readJsonObject(answer.text, why);
  if (!members) return false;
  const auto code = members->find("code");
  if (code == members->end()) return false;
  return code->second.text == std::to_string(kUnavailable) || code->second.text == std::to_string(kLimited);
}

// What the agent says to STATUS once it is well, or when the time is over.
Answer askPatiently(const NetConf& conf, const std::string& message) {
  const int patience = std::min(kAgentReplacedMs, conf.timeoutMs);
  for (int waited = 0;; waited += kLookMs) {
    try {
      const Answer answer = ask(conf, message);
      if (!mayPass(answer) || waited >= patience) return answer;
    } catch (const Unreachable&) {
      if (waited >= patience) throw;
    }
    poll(nullptr, 0, kLookMs);
  }
}

// A pod that ends must not wait for an agent that may be gone for long.
Answer deleteAlone(const NetConf& conf, const Variables& variables, const std::string& absence) {
  const std::string problem = unwire(variables);
  if (problem.empty()) return {0, ""};
  return failure(conf.version, kTryAgainLater, absence + "; and the pod's link cannot be removed: " + problem);
}

Answer run(char** environ, bool asLoopback) {
  const Variables variables = cniVariables(environ);
  const std::string wrong = complaint(variables);
  if (!wrong.empty()) return failure(kNewest, kInvalidEnvironment, wrong);
  const std::string command = valueOf(variables, "CNI_COMMAND");
  if (command == "VERSION") return asLoopback ? versions(kLoopbackVersions) : versions(kVersions);
  std::string text;
  int error = 0;
  if (!readStdin(text, error)) {
    if (error == 0) return failure(kNewest, kDecodingFailure, "the network configuration is larger than 3 MiB");
    return failure(kNewest, kIoFailure, std::string("the network configuration cannot be read: ") + strerror(error));
  }
  if (asLoopback) return loopback(variables, text);
  const auto read = readNetConf(text);
  if (const Answer* refusal = std::get_if<Answer>(&read)) return *refusal;
  const NetConf& conf = std::get<NetConf>(read);
  try {
    const std::string message = encodeInvocation(variables, text);
    return command == "STATUS" ? askPatiently(conf, message) : ask(conf, message);
  } catch (const NobodyListens& failed) {
    if (command == "DEL") return deleteAlone(conf, variables, failed.what());
    return failure(conf.version, command == "STATUS" ? kUnavailable : kTryAgainLater, failed.what());
  } catch (const CallError& failed) {
    // For STATUS an agent that is away is an answer: pods cannot be wired.
    return failure(conf.version, command == "STATUS" ? kUnavailable : kTryAgainLater, failed.what());
  }
}

// False: standard output is closed.
bool print(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = write(STDOUT_FILENO, text.data() + at, text.size() - at);
    if (written > 0) at += static_cast<size_t>(written);
    else if (errno != EINTR) return false;
  }
  return true;
}

}  // namespace

}  // namespace pteropus::cni

int main(int argc, char** argv, char** environ) {
  if (argc == 2 && strcmp(argv[1], "--hear") == 0) return pteropus::cni::hearAgain();
  if (argc > 1) {
    const bool asked = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
    fputs(pteropus::cni::kUsage, asked ? stdout : stderr);
    return asked ? 0 : 2;
  }
  const std::string_view called = argc > 0 ? argv[0] : "";
  const bool asLoopback = called.substr(called.rfind('/') + 1) == pteropus::cni::kLoopback;
  const pteropus::cni::Answer answer = pteropus::cni::run(environ, asLoopback);
  return pteropus::cni::print(answer.text) ? answer.exit : 1;
}
