#include "environment.h"

#include <string_view>

namespace pteropus::cni {

namespace {

struct Needs {
  const char* command;
  std::vector<const char*> variables;
};

// DEL has to work when the namespace is gone.
const Needs kNeeds[] = {
    {"ADD", {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"}},
    {"CHECK", {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"}},
    {"DEL", {"CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"}},
    {"STATUS", {"CNI_PATH"}},
    {"GC", {"CNI_PATH"}},
    {"VERSION", {}},
};

}  // namespace

Variables cniVariables(char** environ) {
  Variables result;
  for (char** entry = environ; *entry != nullptr; entry++) {
    const std::string_view whole = *entry;
    const size_t equals = whole.find('=');
    if (equals == std::string_view::npos || whole.substr(0, 4) != "CNI_") continue;
    result.emplace_back(whole.substr(0, equals), whole.substr(equals + 1));
  }
  return result;
}

std::string valueOf(const Variables& variables, const std::string& name) {
  for (const auto& [key, value] : variables) {
    if (key == name) return value;
  }
  return {};
}

std::string complaint(const Variables& variables) {
  const std::string command = valueOf(variables, "CNI_COMMAND");
  // Without a command we cannot know what it needs; ADD needs most.
  const Needs* needs = command.empty() ? &kNeeds[0] : nullptr;
  for (const Needs& each : kNeeds) {
    if (command == each.command) needs = &each;
  }
  if (needs == nullptr) return "unknown CNI_COMMAND: " + command;
  std::string missing = command.empty() ? "CNI_COMMAND" : "";
  for (const char* name : needs->variables) {
    if (valueOf(variables, name).empty()) missing += (missing.empty() ? "" : ",") + std::string(name);
  }
  return missing.empty() ? "" : "required env variables [" + missing + "] missing";
}

}  // namespace pteropus::cni
