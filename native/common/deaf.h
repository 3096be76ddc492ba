// The program that keeps the kernel's own stack from what comes in by a link: how it is known, and where tcx has it (netlink/ingress.cc
// puts it there, cni/hearing.cc takes it away).
#pragma once
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "common/bpf.h"
#include "common/fd.h"

namespace pteropus {

// By this name a program of an earlier run is known.
constexpr char DEAF[] = "pteropus_deaf";

// Our program with this number; closed if it is another's, or went meanwhile.
inline Fd openDeaf(uint32_t id) {
  bpf_attr a = noAttributes();
  a.prog_id = id;
  Fd program(bpf(BPF_PROG_GET_FD_BY_ID, a));
  if (!program.open()) return Fd();
  bpf_prog_info info{};
  a = noAttributes();
  a.info.bpf_fd = static_cast<uint32_t>(program.get());
  a.info.info_len = sizeof info;
  a.info.info = reinterpret_cast<uint64_t>(&info);
  if (bpf(BPF_OBJ_GET_INFO_BY_FD, a) != 0 || strncmp(info.name, DEAF, sizeof info.name) != 0) return Fd();
  return program;
}

// Numbers of the programs that see first what comes in by the link with this index. Nothing, with errno: the kernel does not say; EINVAL:
// it has no tcx (before 6.6).
inline std::optional<std::vector<uint32_t>> tcxPrograms(uint32_t index) {
  // BPF_MPROG_MAX
  std::vector<uint32_t> ids(64);
  bpf_attr a = noAttributes();
  a.query.target_fd = index;
  a.query.attach_type = TCX_INGRESS;
  a.query.prog_ids = reinterpret_cast<uint64_t>(ids.data());
  a.query.prog_cnt = static_cast<uint32_t>(ids.size());
  if (bpf(BPF_PROG_QUERY, a) < 0) {
    // There are none.
    if (errno == ENOENT) return std::vector<uint32_t>();
    return std::nullopt;
  }
  ids.resize(a.query.prog_cnt);
  return ids;
}

}  // namespace pteropus
