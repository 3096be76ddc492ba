#include "afxdp/copy_program.h"

#include <cstddef>

#include "common/bpf_code.h"
#include "common/waker.h"

namespace pteropus {

namespace {

constexpr int16_t LENGTH = offsetof(__sk_buff, len);
constexpr int16_t SEGMENTED = offsetof(__sk_buff, gso_size);
constexpr int16_t TAGGED = offsetof(__sk_buff, vlan_present);
constexpr int16_t TAG_PROTOCOL = offsetof(__sk_buff, vlan_proto);
constexpr int16_t TAG_CONTROL = offsetof(__sk_buff, vlan_tci);
// A link header: the kernel passes nothing shorter on.
constexpr int32_t LEAST = 14;
// Below the frame pointer: what only wakes.
constexpr int16_t EMPTY = -8;

constexpr int32_t LINE_BITS = 6;
static_assert(1 << LINE_BITS == copyring::LINE);
// The upper half of HEAD and TAIL.
constexpr int16_t LINES_OF = 4;
// Who finds this much room goes on. Meanwhile others may, one on each core; the last of them find none and leave a place without a packet,
// for which there are descriptors as long as there are no more cores than this.
constexpr uint32_t SPARE = 1024;
static_assert(SPARE >= copyring::LONGEST / copyring::LINE, "one alone has room");

constexpr Register PACKET = R6, PLACE = R7, SIZE = R8, LINES = R9;

// TAG: where to; loses R1.
void loadTag(Code& code, Register tag) {
  code.set(tag, 0);
  code.load(R1, PACKET, TAGGED);
  const size_t untagged = code.jump(BPF_JEQ, R1, 0);
  code.load(tag, PACKET, TAG_CONTROL);
  code.shiftLeft(tag, 16);
  code.load(R1, PACKET, TAG_PROTOCOL);
  code.either(tag, R1);
  code.land(untagged);
}

std::vector<bpf_insn> copyProgram(const Fd& ring, const Fd& state, const Fd& wake, uint32_t lostAt) {
  Code code;
  Code::Jumps lost;
  code.copy(PACKET, R1);
  // Its other end does no segmentation and no checksums for later: what comes so all the same is nothing that could be sent on.
  code.load(R0, PACKET, SEGMENTED);
  lost.push_back(code.jump(BPF_JNE, R0, 0));
  code.load(SIZE, PACKET, LENGTH);
  // The verifier wants to see that there is something to copy, and before kernel 6.8 it learns nothing from a comparison with 0.
  lost.push_back(code.jump(BPF_JLT, SIZE, LEAST));
  lost.push_back(code.jump(BPF_JGT, SIZE, static_cast<int32_t>(copyring::LONGEST)));
  code.copy(LINES, SIZE);
  code.add(LINES, copyring::LINE - 1);
  code.shiftRight(LINES, LINE_BITS);

  code.value(R1, ring, 0);
  code.load(R2, R1, copyring::HEAD + LINES_OF);
  code.load(R3, R1, copyring::TAIL + LINES_OF);
  code.subtract32(R2, R3);
  lost.push_back(code.jump(BPF_JGT, R2, static_cast<int32_t>(copyring::LINES - SPARE)));
  code.copy(PLACE, LINES);
  code.shiftLeft(PLACE, 32);
  code.add(PLACE, 1);
  // A barrier: either the worker sees before it sleeps that somebody has taken a place, or we see below that it sleeps.
  code.fetchAdd(R1, copyring::HEAD, PLACE);
  // Up to its end.
  code.copy(R2, PLACE);
  code.shiftRight(R2, 32);
  code.addTo(R2, LINES);
  code.load(R3, R1, copyring::TAIL + LINES_OF);
  code.subtract32(R2, R3);
  const size_t overrun = code.jump(BPF_JGT, R2, static_cast<int32_t>(copyring::LINES));
  code.copy(R1, PLACE);
  code.shiftRight(R1, 32);
  code.mask(R1, copyring::LINES - 1);
  code.shiftLeft(R1, LINE_BITS);
  code.value(R3, ring, copyring::DATA);
  code.addTo(R3, R1);
  code.copy(R1, PACKET);
  code.set(R2, 0);
  code.copy(R4, SIZE);
  code.call(BPF_FUNC_skb_load_bytes);
  const size_t copied = code.jump(BPF_JEQ, R0, 0);
  code.land(overrun);
  code.set(SIZE, 0);
  code.land(copied);

  loadTag(code, R3);
  code.copy(R1, PLACE);
  code.mask(R1, copyring::LINES - 1);
  code.shiftLeft(R1, 4);
  code.value(R2, ring, copyring::DESCRIPTORS);
  code.addTo(R2, R1);
  code.store(R2, offsetof(CopyDescriptor, length), SIZE);
  code.store(R2, offsetof(CopyDescriptor, tag), R3);
  code.store(R2, offsetof(CopyDescriptor, lines), LINES);
  code.add(PLACE, 1);
  code.publish(R2, offsetof(CopyDescriptor, turn), PLACE);
  const size_t whole = code.jump(BPF_JNE, SIZE, 0);

  code.land(lost);
  code.value(R1, state, lostAt);
  code.set(R2, 1);
  code.increment(R1, R2);
  const size_t end = code.jump();

  code.land(whole);
  const size_t awake = noteWaker(code, state);
  code.zero(FRAME, EMPTY, BPF_DW);
  code.map(R1, wake);
  code.copy(R2, FRAME);
  code.add(R2, EMPTY);
  code.set(R3, -EMPTY);
  code.set(R4, BPF_RB_FORCE_WAKEUP);
  code.call(BPF_FUNC_ringbuf_output);
  code.land(awake);
  code.land(end);
  code.set(R0, TCX_DROP);
  code.exit();
  return code.instructions();
}

}  // namespace

Fd attachCopy(uint32_t ifindex, const Fd& ring, const Fd& state, const Fd& wake, uint32_t lost, const std::string& object) {
  return attachIngress(copyProgram(ring, state, wake, lost), ifindex, "pteropus_copy", object);
}

}  // namespace pteropus
