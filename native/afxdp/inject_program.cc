#include "afxdp/inject_program.h"

#include <cstddef>

#include "common/bpf_code.h"

namespace pteropus {

namespace {

constexpr int16_t LENGTH = offsetof(__sk_buff, len);
constexpr int16_t QUEUE = offsetof(__sk_buff, queue_mapping);
constexpr Register PACKET = R6, SLOT = R7, INDEX = R8, COUNT = R9;

// One packet of the kernel's is all that it has: the one whose arrival ran the program. Each slot's bytes are written over it and a clone of
// it is sent; the kernel then gives the original memory of its own again, since it is to be written to. What is never written stays within:
// the length is set first, and what is longer than before comes zeroed.
std::vector<bpf_insn> injectProgram(const Fd& shared) {
  Code code;
  code.copy(PACKET, R1);
  code.value(R1, shared, 0);
  code.set(COUNT, 0);
  code.exchange(R1, injected::COUNT, COUNT);
  code.value(SLOT, shared, injected::SLOTS);
  code.set(INDEX, 0);

  const size_t begin = code.here();
  const size_t done = code.jump(BPF_JGE, INDEX, COUNT);
  Code::Jumps skipped, failed;
  code.load16(R2, SLOT, offsetof(InjectSlot, length));
  code.load(R1, PACKET, LENGTH);
  const size_t fits = code.jump(BPF_JEQ, R1, R2);
  code.copy(R1, PACKET);
  code.set(R3, 0);
  code.call(BPF_FUNC_skb_change_tail);
  failed.push_back(code.jump(BPF_JNE, R0, 0));
  code.land(fits);
  code.load16(R4, SLOT, offsetof(InjectSlot, length));
  // Asked so for the verifier before kernel 6.8, which learns nothing from a comparison with 0.
  skipped.push_back(code.jump(BPF_JLT, R4, static_cast<int32_t>(injected::SHORTEST)));
  skipped.push_back(code.jump(BPF_JGT, R4, static_cast<int32_t>(injected::LONGEST)));
  code.load(R5, SLOT, offsetof(InjectSlot, offset));
  skipped.push_back(code.jump(BPF_JGT, R5, static_cast<int32_t>(injected::ROOM)));
  code.value(R3, shared, injected::BYTES);
  code.addTo(R3, R5);
  code.copy(R1, PACKET);
  code.set(R2, 0);
  code.set(R5, 0);
  code.call(BPF_FUNC_skb_store_bytes);
  failed.push_back(code.jump(BPF_JNE, R0, 0));
  // As if it had been received by that queue: the kernel then sends by it. 0 is for none.
  code.load16(R1, SLOT, offsetof(InjectSlot, queue));
  code.add(R1, 1);
  code.store(PACKET, QUEUE, R1);
  code.copy(R1, PACKET);
  code.load(R2, SLOT, offsetof(InjectSlot, link));
  code.set(R3, 0);
  code.call(BPF_FUNC_clone_redirect);
  code.land(failed);
  code.store(SLOT, offsetof(InjectSlot, result), R0);
  code.land(skipped);
  code.add(SLOT, sizeof(InjectSlot));
  code.add(INDEX, 1);
  code.loop(begin, BPF_JLT, INDEX, static_cast<int32_t>(injected::MOST));

  code.land(done);
  code.value(R1, shared, 0);
  code.load(R2, R1, injected::SEQUENCE);
  code.exchange(R1, injected::RAN, R2);
  code.set(R0, TCX_DROP);
  code.exit();
  return code.instructions();
}

}  // namespace

Fd attachInject(uint32_t ifindex, const Fd& shared, const std::string& object) {
  return attachIngress(injectProgram(shared), ifindex, "pteropus_inject", object);
}

}  // namespace pteropus
