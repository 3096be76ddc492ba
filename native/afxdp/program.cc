#include "afxdp/program.h"

#include <linux/if_link.h>

#include <cstddef>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "afxdp/uapi.h"
#include "common/bpf.h"
#include "common/error.h"

namespace pteropus {

namespace {

Fd createMap(uint32_t size, const std::string& object) {
  bpf_attr a = noAttributes();
  a.map_type = BPF_MAP_TYPE_XSKMAP;
  a.key_size = sizeof(uint32_t);
  a.value_size = sizeof(uint32_t);
  a.max_entries = size;
  return Fd(check(bpf(BPF_MAP_CREATE, a), "BPF_MAP_CREATE", object));
}

constexpr int16_t RX_QUEUE = offsetof(xdp_md, rx_queue_index);
constexpr int16_t IFINDEX = offsetof(xdp_md, ingress_ifindex);

// Places of the shared map: devices whose index has the same low bits have the same one.
constexpr uint32_t PLACES = 1 << 16;

// False: something is there already (BPF_NOEXIST).
bool setMap(const Fd& map, uint32_t key, int socket, uint64_t flags, const std::string& object) {
  bpf_attr a = noAttributes();
  a.map_fd = static_cast<uint32_t>(map.get());
  a.key = reinterpret_cast<uint64_t>(&key);
  a.value = reinterpret_cast<uint64_t>(&socket);
  a.flags = flags;
  const int result = bpf(BPF_MAP_UPDATE_ELEM, a);
  if (result < 0 && errno == EEXIST && flags == BPF_NOEXIST) return false;
  check(result, "BPF_MAP_UPDATE_ELEM", object);
  return true;
}

// Ends a program with r2 = the map's key: return bpf_redirect_map(&map, r2, otherwise). XDP_PASS: what has no socket goes to the kernel's
// own stack.
void redirect(std::vector<bpf_insn>& code, const Fd& map, xdp_action otherwise = XDP_PASS) {
  code.insert(code.end(), {
      {BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map.get()},  // r1 = map
      {0, 0, 0, 0, 0},                                                  // second half of the 64-bit constant
      {BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, static_cast<int32_t>(otherwise)},  // r3 = what to do without an entry
      {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  });
}

// For one device: by its queue.
std::vector<bpf_insn> byQueue(const Fd& map, xdp_action otherwise = XDP_PASS) {
  std::vector<bpf_insn> code{{BPF_LDX | BPF_W | BPF_MEM, 2, 1, RX_QUEUE, 0}};
  redirect(code, map, otherwise);
  return code;
}

// For all devices with one queue: by the place of the device. A queue that was added since has no socket.
std::vector<bpf_insn> byDevice(const Fd& map) {
  std::vector<bpf_insn> code{
      {BPF_LDX | BPF_W | BPF_MEM, 0, 1, RX_QUEUE, 0},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 0},           // queue 0: on
      {BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
      {BPF_LDX | BPF_W | BPF_MEM, 2, 1, IFINDEX, 0},
      {BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, PLACES - 1},
  };
  redirect(code, map);
  return code;
}

Fd loadProgram(const std::vector<bpf_insn>& code, const std::string& object) {
  bpf_attr a = programAttributes(BPF_PROG_TYPE_XDP, code.data(), code.size());
  a.expected_attach_type = BPF_XDP;
  a.prog_flags = BPF_F_XDP_HAS_FRAGS;
  int fd = bpf(BPF_PROG_LOAD, a);
  if (fd < 0 && errno == EINVAL) {
    a.prog_flags = 0;
    fd = bpf(BPF_PROG_LOAD, a);
  }
  return Fd(check(fd, "BPF_PROG_LOAD", object));
}

int createLink(int program, uint32_t ifindex, uint32_t flags) {
  bpf_attr a = noAttributes();
  a.link_create.prog_fd = static_cast<uint32_t>(program);
  a.link_create.target_ifindex = ifindex;
  a.link_create.attach_type = BPF_XDP;
  a.link_create.flags = flags;
  return bpf(BPF_LINK_CREATE, a);
}

Fd attachProgram(int program, uint32_t ifindex, AttachMode mode, bool& native, const std::string& object) {
  int link = -1;
  if (mode != AttachMode::Generic) {
    link = createLink(program, ifindex, XDP_FLAGS_DRV_MODE);
    native = link >= 0;
    // EBUSY: another program is there, and generic mode would be refused just so.
    if (link < 0 && (mode == AttachMode::Native || errno == EBUSY)) fail("BPF_LINK_CREATE", errno, object, "native XDP");
  }
  if (link < 0) link = check(createLink(program, ifindex, XDP_FLAGS_SKB_MODE), "BPF_LINK_CREATE", object);
  return Fd(link);
}

}  // namespace

int SharedRedirect::add(uint32_t ifindex, int socket, const std::string& object) {
  if (!program_.open()) {
    map_ = createMap(PLACES, object);
    program_ = loadProgram(byDevice(map_), object);
  }
  return setMap(map_, ifindex & (PLACES - 1), socket, BPF_NOEXIST, object) ? program_.get() : -1;
}

Attachment attachRedirect(SharedRedirect& shared, uint32_t ifindex, const std::vector<int>& sockets, AttachMode mode,
                          const std::string& object) {
  Attachment result;
  int program = sockets.size() == 1 ? shared.add(ifindex, sockets[0], object) : -1;
  Fd own;
  if (program < 0) {
    result.map = createMap(static_cast<uint32_t>(sockets.size()), object);
    for (uint32_t queue = 0; queue < sockets.size(); queue++) setMap(result.map, queue, sockets[queue], BPF_ANY, object);
    own = loadProgram(byQueue(result.map), object);
    program = own.get();
  }
  result.link = attachProgram(program, ifindex, mode, result.native, object);
  return result;
}

std::shared_ptr<JointAttachment> joinRedirect(const Device& device, const std::vector<QueueSocket>& sockets, AttachMode mode,
                                              const std::string& object) {
  // The kernel has one program for a device, whichever thread asks.
  static std::mutex mutex;
  static std::map<std::pair<uint64_t, uint32_t>, std::weak_ptr<JointAttachment>> attached;
  const std::lock_guard lock(mutex);
  for (auto one = attached.begin(); one != attached.end();) one = one->second.expired() ? attached.erase(one) : std::next(one);
  std::weak_ptr<JointAttachment>& place = attached[{device.netns, device.index}];
  std::shared_ptr<JointAttachment> joint = place.lock();
  if (!joint) {
    joint = std::make_shared<JointAttachment>();
    joint->map = createMap(device.queues, object);
    const Fd program = loadProgram(byQueue(joint->map, XDP_DROP), object);
    joint->link = attachProgram(program.get(), device.index, mode, joint->native, object);
    place = joint;
  }
  for (const QueueSocket& one : sockets) setMap(joint->map, one.queue, one.socket, BPF_ANY, object);
  return joint;
}

}  // namespace pteropus
