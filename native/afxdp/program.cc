#include "afxdp/program.h"

#include <linux/if_link.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "afxdp/uapi.h"
#include "common/error.h"

namespace pteropus {

namespace {

int bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

Fd createMap(uint32_t size, const std::string& object) {
  bpf_attr a;
  memset(&a, 0, sizeof a);
  a.map_type = BPF_MAP_TYPE_XSKMAP;
  a.key_size = sizeof(uint32_t);
  a.value_size = sizeof(uint32_t);
  a.max_entries = size;
  return Fd(check(bpf(BPF_MAP_CREATE, a), "BPF_MAP_CREATE", object));
}

void setMap(const Fd& map, uint32_t key, int socket, const std::string& object) {
  bpf_attr a;
  memset(&a, 0, sizeof a);
  a.map_fd = static_cast<uint32_t>(map.get());
  a.key = reinterpret_cast<uint64_t>(&key);
  a.value = reinterpret_cast<uint64_t>(&socket);
  check(bpf(BPF_MAP_UPDATE_ELEM, a), "BPF_MAP_UPDATE_ELEM", object);
}

// return bpf_redirect_map(&map, ctx->rx_queue_index, XDP_PASS): a queue without a socket goes to the kernel's own stack.
Fd loadProgram(const Fd& map, const std::string& object) {
  const bpf_insn code[] = {
      {BPF_LDX | BPF_W | BPF_MEM, 2, 1, 16, 0},                     // r2 = *(u32 *)(r1 + offsetof(xdp_md, rx_queue_index))
      {BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map.get()},  // r1 = map
      {0, 0, 0, 0, 0},                                              // second half of the 64-bit constant
      {BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, XDP_PASS},             // r3 = what to do without an entry
      {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  bpf_attr a;
  memset(&a, 0, sizeof a);
  a.prog_type = BPF_PROG_TYPE_XDP;
  a.insns = reinterpret_cast<uint64_t>(code);
  a.insn_cnt = sizeof code / sizeof code[0];
  a.license = reinterpret_cast<uint64_t>("Apache-2.0");
  a.expected_attach_type = BPF_XDP;
  a.prog_flags = BPF_F_XDP_HAS_FRAGS;
  strcpy(a.prog_name, "pteropus");
  int fd = bpf(BPF_PROG_LOAD, a);
  if (fd < 0 && errno == EINVAL) {
    a.prog_flags = 0;
    fd = bpf(BPF_PROG_LOAD, a);
  }
  return Fd(check(fd, "BPF_PROG_LOAD", object));
}

int createLink(const Fd& program, uint32_t ifindex, uint32_t flags) {
  bpf_attr a;
  memset(&a, 0, sizeof a);
  a.link_create.prog_fd = static_cast<uint32_t>(program.get());
  a.link_create.target_ifindex = ifindex;
  a.link_create.attach_type = BPF_XDP;
  a.link_create.flags = flags;
  return bpf(BPF_LINK_CREATE, a);
}

}  // namespace

Attachment attachRedirect(uint32_t ifindex, const std::vector<int>& sockets, AttachMode mode, const std::string& object) {
  Attachment result;
  result.map = createMap(static_cast<uint32_t>(sockets.size()), object);
  for (uint32_t queue = 0; queue < sockets.size(); queue++) setMap(result.map, queue, sockets[queue], object);
  const Fd program = loadProgram(result.map, object);
  int link = -1;
  if (mode != AttachMode::Generic) {
    link = createLink(program, ifindex, XDP_FLAGS_DRV_MODE);
    result.native = link >= 0;
    // EBUSY: another program is there, and generic mode would be refused just so.
    if (link < 0 && (mode == AttachMode::Native || errno == EBUSY)) fail("BPF_LINK_CREATE", errno, object, "native XDP");
  }
  if (link < 0) link = check(createLink(program, ifindex, XDP_FLAGS_SKB_MODE), "BPF_LINK_CREATE", object);
  result.link = Fd(link);
  return result;
}

}  // namespace pteropus
