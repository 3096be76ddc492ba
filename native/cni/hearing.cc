#include "hearing.h"

#include <net/if.h>

#include <cstdio>

#include "common/deaf.h"

namespace pteropus::cni {

namespace {

bool detach(uint32_t index, const Fd& program) {
  bpf_attr a = noAttributes();
  a.target_fd = index;
  a.attach_bpf_fd = static_cast<uint32_t>(program.get());
  a.attach_type = TCX_INGRESS;
  return bpf(BPF_PROG_DETACH, a) == 0;
}

}  // namespace

int hearAgain() {
  struct if_nameindex* const links = if_nameindex();
  if (links == nullptr) {
    perror("links");
    return 1;
  }
  int exit = 0;
  for (const struct if_nameindex* link = links; link->if_index != 0; link++) {
    const auto ids = tcxPrograms(link->if_index);
    // A kernel without tcx has a filter instead, which `tc` takes away; a link may have gone meanwhile.
    if (!ids) {
      if (errno == EINVAL || errno == ENODEV) continue;
      perror(link->if_name);
      exit = 1;
      continue;
    }
    for (const uint32_t id : *ids) {
      const Fd program = openDeaf(id);
      if (!program.open()) continue;
      if (detach(link->if_index, program)) {
        puts(link->if_name);
      } else {
        perror(link->if_name);
        exit = 1;
      }
    }
  }
  if_freenameindex(links);
  return exit;
}

}  // namespace pteropus::cni
