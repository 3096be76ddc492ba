// DEL while no agent runs. What a pod of ours has on the machine is its link, and the next agent frees the rest (address, journal, data
// plane) of every pod whose link is gone (control/agent/audit.ts).
#pragma once
#include <string>

#include "environment.h"

namespace pteropus::cni {

// The names that only one sandbox gives, as the agent makes them (control/agent/links.ts, control/ipam/arithmetic.ts).
struct PodNames {
  std::string link;  // of the node's end
  std::string mac;   // of the pod's end
};

PodNames podNames(const std::string& containerId, const std::string& ifname);

// Removes the sandbox's link: the pair by its end on the node, a TAP by its MAC in the sandbox. Other links are left alone, whatever they
// are called; a link or a namespace that is gone is fine. What went wrong, or empty.
std::string unwire(const Variables& variables);

}  // namespace pteropus::cni
