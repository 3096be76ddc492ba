// Undoes what the agent does to a node's links for good.
#pragma once

namespace pteropus::cni {

// The node's own stack hears again what comes in by its links. Prints the links that were deaf; the exit code, 1 if one stays so.
int hearAgain();

}  // namespace pteropus::cni
