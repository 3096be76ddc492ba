#include "afxdp/copy_program.h"

#include <cstddef>
#include <vector>

#include "common/bpf.h"
#include "common/error.h"

namespace pteropus {

namespace {

// The verifier wants the size of an entry as a constant, so there is a copy of the code for each of these. Most packets are small or of
// an MTU of 1500.
constexpr uint32_t SIZES[] = {64, 256, 1536, 4096, 9216, 20480, LONGEST_COPY};

// enum bpf_attach_type and enum tcx_action_base of newer headers.
constexpr auto TCX_INGRESS = static_cast<bpf_attach_type>(46);
constexpr int32_t DROP = 2;

constexpr int16_t LENGTH = offsetof(__sk_buff, len);
constexpr int16_t SEGMENTED = offsetof(__sk_buff, gso_size);
constexpr int16_t TAGGED = offsetof(__sk_buff, vlan_present);
constexpr int16_t TAG_PROTOCOL = offsetof(__sk_buff, vlan_proto);
constexpr int16_t TAG_CONTROL = offsetof(__sk_buff, vlan_tci);
constexpr int32_t HEADER = sizeof(CopyHeader);
// A link header: the kernel passes nothing shorter on.
constexpr int32_t LEAST = 14;
// Below the frame pointer: what only wakes.
constexpr int16_t EMPTY = -8;

enum Register : uint8_t { R0, R1, R2, R3, R4, R5, PACKET, ENTRY, SIZE, TAG, FRAME };

// A program under construction. Jumps lead forward, to places that are told later.
class Code {
 public:
  using Jumps = std::vector<size_t>;

  void load(Register to, Register from, int16_t offset) { add(BPF_LDX | BPF_W | BPF_MEM, to, from, offset, 0); }
  void store(Register to, int16_t offset, Register value) { add(BPF_STX | BPF_W | BPF_MEM, to, value, offset, 0); }
  void zero(Register to, int16_t offset, uint8_t width) { add(static_cast<uint8_t>(BPF_ST | width | BPF_MEM), to, 0, offset, 0); }
  void set(Register to, int32_t value) { add(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
  void copy(Register to, Register from) { add(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
  void add(Register to, int32_t value) { add(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value); }
  void shiftLeft(Register to, int32_t bits) { add(BPF_ALU64 | BPF_LSH | BPF_K, to, 0, 0, bits); }
  void either(Register to, Register other) { add(BPF_ALU64 | BPF_OR | BPF_X, to, other, 0, 0); }
  void increment(Register address, Register by) { add(BPF_STX | BPF_DW | BPF_ATOMIC, address, by, 0, BPF_ADD); }
  void call(int32_t helper) { add(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
  void exit() { add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
  void map(Register to, const Fd& map) { wide(to, BPF_PSEUDO_MAP_FD, map, 0); }
  void value(Register to, const Fd& map, uint32_t offset) { wide(to, BPF_PSEUDO_MAP_VALUE, map, static_cast<int32_t>(offset)); }

  size_t jump(uint8_t when, Register a, int32_t b) {
    add(static_cast<uint8_t>(BPF_JMP | when | BPF_K), a, 0, 0, b);
    return code_.size() - 1;
  }
  size_t jump() { return jump(BPF_JA, R0, 0); }
  void land(size_t jump) { code_[jump].off = static_cast<int16_t>(code_.size() - jump - 1); }
  void land(const Jumps& jumps) {
    for (const size_t one : jumps) land(one);
  }

  const std::vector<bpf_insn>& instructions() const { return code_; }

 private:
  void add(uint8_t code, uint8_t to, uint8_t from, int16_t offset, int32_t value) { code_.push_back({code, to, from, offset, value}); }
  // A 64-bit constant takes two instructions.
  void wide(Register to, uint8_t kind, const Fd& map, int32_t offset) {
    add(BPF_LD | BPF_DW | BPF_IMM, to, kind, 0, map.get());
    add(0, 0, 0, 0, offset);
  }

  std::vector<bpf_insn> code_;
};

// Reserves an entry of the ring, fills it and hands it over, without waking anybody.
void copyOut(Code& code, const Fd& ring, uint32_t size, Code::Jumps& lost) {
  code.map(R1, ring);
  code.set(R2, HEADER + static_cast<int32_t>(size));
  code.set(R3, 0);
  code.call(BPF_FUNC_ringbuf_reserve);
  lost.push_back(code.jump(BPF_JEQ, R0, 0));
  code.copy(ENTRY, R0);
  code.store(ENTRY, offsetof(CopyHeader, length), SIZE);
  code.store(ENTRY, offsetof(CopyHeader, tag), TAG);
  code.copy(R1, PACKET);
  code.set(R2, 0);
  code.copy(R3, ENTRY);
  code.add(R3, HEADER);
  code.copy(R4, SIZE);
  code.call(BPF_FUNC_skb_load_bytes);
  code.copy(R1, ENTRY);
  code.set(R2, BPF_RB_NO_WAKEUP);
  code.call(BPF_FUNC_ringbuf_submit);
}

std::vector<bpf_insn> copyProgram(const Fd& ring, const Fd& state, uint32_t lostAt) {
  Code code;
  Code::Jumps lost, copied;
  code.copy(PACKET, R1);
  // Its other end does no segmentation and no checksums for later: what comes so all the same is nothing that could be sent on.
  code.load(R0, PACKET, SEGMENTED);
  lost.push_back(code.jump(BPF_JNE, R0, 0));
  code.load(SIZE, PACKET, LENGTH);
  // The verifier wants to see that there is something to copy, and before kernel 6.8 it learns nothing from a comparison with 0.
  lost.push_back(code.jump(BPF_JLT, SIZE, LEAST));
  code.set(TAG, 0);
  code.load(R0, PACKET, TAGGED);
  const size_t untagged = code.jump(BPF_JEQ, R0, 0);
  code.load(TAG, PACKET, TAG_CONTROL);
  code.shiftLeft(TAG, 16);
  code.load(R0, PACKET, TAG_PROTOCOL);
  code.either(TAG, R0);
  code.land(untagged);
  for (const uint32_t size : SIZES) {
    const size_t longer = code.jump(BPF_JGT, SIZE, static_cast<int32_t>(size));
    copyOut(code, ring, size, lost);
    copied.push_back(code.jump());
    code.land(longer);
  }
  code.land(lost);
  code.value(R1, state, lostAt);
  code.set(R2, 1);
  code.increment(R1, R2);
  const size_t end = code.jump();

  code.land(copied);
  // After the entry was handed over, which is a barrier: either the worker sees it before it sleeps, or we see that it sleeps.
  code.value(R1, state, copystate::ASLEEP);
  code.load(R2, R1, 0);
  const size_t awake = code.jump(BPF_JEQ, R2, 0);
  // One wake-up is enough.
  code.zero(R1, 0, BPF_W);
  code.call(BPF_FUNC_get_smp_processor_id);
  code.add(R0, 1);
  code.value(R1, state, copystate::CORE);
  code.store(R1, 0, R0);
  code.zero(FRAME, EMPTY, BPF_DW);
  code.map(R1, ring);
  code.copy(R2, FRAME);
  code.add(R2, EMPTY);
  code.set(R3, HEADER);
  code.set(R4, BPF_RB_FORCE_WAKEUP);
  code.call(BPF_FUNC_ringbuf_output);
  code.land(awake);
  code.land(end);
  code.set(R0, DROP);
  code.exit();
  return code.instructions();
}

}  // namespace

Fd attachCopy(uint32_t ifindex, const Fd& ring, const Fd& state, uint32_t lost, const std::string& object) {
  const std::vector<bpf_insn> code = copyProgram(ring, state, lost);
  bpf_attr a = programAttributes(BPF_PROG_TYPE_SCHED_CLS, code.data(), code.size(), "pteropus_copy");
  const Fd program(check(bpf(BPF_PROG_LOAD, a), "BPF_PROG_LOAD", object));
  a = noAttributes();
  a.link_create.prog_fd = static_cast<uint32_t>(program.get());
  a.link_create.target_ifindex = ifindex;
  a.link_create.attach_type = TCX_INGRESS;
  return Fd(check(bpf(BPF_LINK_CREATE, a), "BPF_LINK_CREATE", object));
}

}  // namespace pteropus
