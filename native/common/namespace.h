// Network namespaces. All work inside one is done by a short-lived thread, so that the caller's own never changes.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "common/fd.h"

namespace pteropus {

// Runs `work` on a new thread inside the namespace and waits for it; what it throws (SystemError) is thrown here.
// A negative fd means the process's own namespace: then no thread is made.
void runIn(int netnsFd, const std::string& path, const std::function<void()>& work);

// Opens a namespace file, for instance /run/netns/NAME or /proc/PID/ns/net.
Fd openNetns(const std::string& path);

// Makes a namespace and mounts it at /run/netns/NAME as `ip netns add` does; lo stays down. EEXIST if the name is taken.
Fd createNetns(const std::string& name);

// Undoes createNetns; an absent name is fine. The namespace itself ends with its last process, link or descriptor.
void deleteNetns(const std::string& name);

std::vector<std::string> listNetns();

std::string netnsPath(const std::string& name);

}  // namespace pteropus
