// bpf(2), and the attributes of its commands zeroed as the kernel wants them.
#pragma once
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pteropus {

// Aggregate initialization leaves the padding between the union's members as it is; the kernel refuses what is not zero.
inline bpf_attr noAttributes() {
  bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  return attributes;
}

// Of BPF_PROG_LOAD for a program of so many instructions, which must outlive the call. `name`: 15 characters at most.
inline bpf_attr programAttributes(bpf_prog_type type, const bpf_insn* code, size_t count, const char* name = "pteropus") {
  bpf_attr attributes = noAttributes();
  attributes.prog_type = type;
  attributes.insns = reinterpret_cast<uint64_t>(code);
  attributes.insn_cnt = static_cast<uint32_t>(count);
  attributes.license = reinterpret_cast<uint64_t>("Apache-2.0");
  strncpy(attributes.prog_name, name, sizeof attributes.prog_name - 1);
  return attributes;
}

// Of newer headers: enum bpf_attach_type, enum tcx_action_base, and BPF_F_BEFORE (alone: before all that are there).
constexpr auto TCX_INGRESS = static_cast<bpf_attach_type>(46);
constexpr int32_t TCX_DROP = 2;
constexpr uint32_t MPROG_BEFORE = 1 << 3;

// Negative with errno if it failed; else what the command returns.
inline int bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

}  // namespace pteropus
