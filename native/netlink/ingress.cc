// Whether the kernel's own stack takes what comes in by a link. Packet sockets get their copy before this is asked (net/core/dev.c),
// so that a data plane that reads by them is the only one who answers.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>

#include <cstring>

#include "common/bpf.h"
#include "common/error.h"
#include "common/fd.h"
#include "common/namespace.h"
#include "netlink/netns.h"

namespace pteropus {

namespace {

constexpr uint32_t CLSACT = TC_H_MAKE(TC_H_CLSACT, 0);
constexpr uint32_t INGRESS = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
// Before every other filter.
constexpr uint32_t PRIORITY = 1;

// By this name a program of an earlier run is known.
constexpr char NAME[] = "pteropus_deaf";
// Programs that one link may have (BPF_MPROG_MAX).
constexpr uint32_t MOST = 64;

// Ends each packet. The kernel says the same by TC_ACT_SHOT and by TCX_DROP.
Fd loadDrop(const std::string& object) {
  static_assert(TC_ACT_SHOT == TCX_DROP);
  const bpf_insn code[] = {
      {BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, TC_ACT_SHOT},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  bpf_attr a = programAttributes(BPF_PROG_TYPE_SCHED_CLS, code, sizeof code / sizeof *code, NAME);
  return Fd(check(bpf(BPF_PROG_LOAD, a), "BPF_PROG_LOAD", object));
}

// The program with this number is one of ours; one that went meanwhile is not.
bool isOurs(uint32_t id) {
  bpf_attr a = noAttributes();
  a.prog_id = id;
  const Fd program(bpf(BPF_PROG_GET_FD_BY_ID, a));
  if (program.get() < 0) return false;
  bpf_prog_info info{};
  a = noAttributes();
  a.info.bpf_fd = static_cast<uint32_t>(program.get());
  a.info.info_len = sizeof info;
  a.info.info = reinterpret_cast<uint64_t>(&info);
  return bpf(BPF_OBJ_GET_INFO_BY_FD, a) == 0 && strncmp(info.name, NAME, sizeof info.name) == 0;
}

// By tcx, which leaves the place of the ingress qdisc to others: CNI's `bandwidth` wants it for itself. False: the kernel has none (before 6.6).
bool deafenByTcx(uint32_t index, const std::string& object) {
  uint32_t ids[MOST];
  bpf_attr a = noAttributes();
  a.query.target_fd = index;
  a.query.attach_type = TCX_INGRESS;
  a.query.prog_ids = reinterpret_cast<uint64_t>(ids);
  a.query.prog_cnt = MOST;
  if (bpf(BPF_PROG_QUERY, a) < 0) {
    // ENOENT: there are none.
    if (errno == EINVAL) return false;
    if (errno != ENOENT) fail("BPF_PROG_QUERY", errno, object);
    a.query.prog_cnt = 0;
  }
  for (uint32_t i = 0; i < a.query.prog_cnt; i++) {
    if (isOurs(ids[i])) return true;
  }
  const Fd program = loadDrop(object);
  a = noAttributes();
  a.target_fd = index;
  a.attach_bpf_fd = static_cast<uint32_t>(program.get());
  a.attach_type = TCX_INGRESS;
  // Behind those that are there; a data plane's come before it. It stays with the link, without a descriptor.
  check(bpf(BPF_PROG_ATTACH, a), "BPF_PROG_ATTACH", object);
  return true;
}

tcmsg place(uint32_t index, uint32_t parent) {
  tcmsg message{};
  message.tcm_family = AF_UNSPEC;
  message.tcm_ifindex = static_cast<int>(index);
  message.tcm_parent = parent;
  return message;
}

}  // namespace

void Netns::deafen(const std::string& link) {
  const uint32_t index = socket().linkIndex(link);
  bool done = false;
  runIn(fd(), path(), [&] { done = deafenByTcx(index, named(link)); });
  if (!done) deafenByFilter(index, link);
}

void Netns::deafenByFilter(uint32_t index, const std::string& link) {
  tcmsg at = place(index, TC_H_CLSACT);
  at.tcm_handle = CLSACT;
  // Not NLM_F_EXCL: one that is there is as good.
  Request qdisc(RTM_NEWQDISC, NLM_F_CREATE, at);
  qdisc.attribute(TCA_KIND, std::string("clsact"));
  try {
    socket().transact(qdisc, "RTM_NEWQDISC", named(link));
  } catch (const SystemError& error) {
    if (error.error != EEXIST) throw;
  }
  const Fd program = loadDrop(named(link));
  tcmsg filter = place(index, INGRESS);
  filter.tcm_handle = 1;
  filter.tcm_info = TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL));
  // The filter keeps the program. NLM_F_CREATE alone replaces ours of an earlier run.
  Request request(RTM_NEWTFILTER, NLM_F_CREATE, filter);
  request.attribute(TCA_KIND, std::string("bpf"));
  const size_t options = request.begin(TCA_OPTIONS);
  request.attribute(TCA_BPF_FD, static_cast<uint32_t>(program.get()));
  request.attribute(TCA_BPF_NAME, std::string(NAME));
  request.attribute(TCA_BPF_FLAGS, static_cast<uint32_t>(TCA_BPF_FLAG_ACT_DIRECT));
  request.end(options);
  socket().transact(request, "RTM_NEWTFILTER", named(link));
}

}  // namespace pteropus
