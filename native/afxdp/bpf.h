// bpf(2), and the attributes of its commands zeroed as the kernel wants them.
#pragma once
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

namespace pteropus {

// Aggregate initialization leaves the padding between the union's members as it is; the kernel refuses what is not zero.
inline bpf_attr noAttributes() {
  bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  return attributes;
}

// Negative with errno if it failed; else what the command returns.
inline int bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

}  // namespace pteropus
