// What the runtime passes in the environment (CNI specification, section 2, parameters).
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace pteropus::cni {

using Variables = std::vector<std::pair<std::string, std::string>>;

// The CNI_* variables, as they are.
Variables cniVariables(char** environ);

std::string valueOf(const Variables& variables, const std::string& name);

// What is wrong with them as far as it can be told without the agent: an unknown command, or all that is missing at once. Empty = nothing.
std::string complaint(const Variables& variables);

}  // namespace pteropus::cni
