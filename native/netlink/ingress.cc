// Whether the kernel's own stack takes what comes in by a link. Packet sockets get their copy before this is asked (net/core/dev.c),
// so that a data plane that reads by them is the only one who answers.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>

#include "common/bpf.h"
#include "common/deaf.h"
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

// Ends each packet. The kernel says the same by TC_ACT_SHOT and by TCX_DROP.
Fd loadDrop(const std::string& object) {
  static_assert(TC_ACT_SHOT == TCX_DROP);
  const bpf_insn code[] = {
      {BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, TC_ACT_SHOT},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  bpf_attr a = programAttributes(BPF_PROG_TYPE_SCHED_CLS, code, sizeof code / sizeof *code, DEAF);
  return Fd(check(bpf(BPF_PROG_LOAD, a), "BPF_PROG_LOAD", object));
}

// By tcx, which leaves the place of the ingress qdisc to others: CNI's `bandwidth` wants it for itself. False: the kernel has none (before 6.6).
bool deafenByTcx(uint32_t index, const std::string& object) {
  const auto ids = tcxPrograms(index);
  if (!ids) {
    if (errno == EINVAL) return false;
    fail("BPF_PROG_QUERY", errno, object);
  }
  for (const uint32_t id : *ids) {
    if (openDeaf(id).open()) return true;
  }
  const Fd program = loadDrop(object);
  bpf_attr a = noAttributes();
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
  request.attribute(TCA_BPF_NAME, std::string(DEAF));
  request.attribute(TCA_BPF_FLAGS, static_cast<uint32_t>(TCA_BPF_FLAG_ACT_DIRECT));
  request.end(options);
  socket().transact(request, "RTM_NEWTFILTER", named(link));
}

}  // namespace pteropus
