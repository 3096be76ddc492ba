// A BPF program for the ingress of a link, written by hand: no compiler for BPF, no library.
#pragma once
#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/bpf.h"
#include "common/error.h"
#include "common/fd.h"

namespace pteropus {

// R0: result. R1 to R5: arguments of a call, lost by it. R6 to R9 are kept. FRAME: end of the stack, read only.
enum Register : uint8_t { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FRAME };

// A program under construction. Jumps lead forward, to places that are told later, but for `loop`.
class Code {
 public:
  using Jumps = std::vector<size_t>;

  void load(Register to, Register from, int16_t offset) { add(BPF_LDX | BPF_W | BPF_MEM, to, from, offset, 0); }
  void load16(Register to, Register from, int16_t offset) { add(BPF_LDX | BPF_H | BPF_MEM, to, from, offset, 0); }
  void store(Register to, int16_t offset, Register value, uint8_t width = BPF_W) {
    add(static_cast<uint8_t>(BPF_STX | width | BPF_MEM), to, value, offset, 0);
  }
  void zero(Register to, int16_t offset, uint8_t width) { add(static_cast<uint8_t>(BPF_ST | width | BPF_MEM), to, 0, offset, 0); }
  void set(Register to, int32_t value) { add(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
  void copy(Register to, Register from) { add(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
  void add(Register to, int32_t value) { add(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value); }
  void addTo(Register to, Register other) { add(BPF_ALU64 | BPF_ADD | BPF_X, to, other, 0, 0); }
  void shiftLeft(Register to, int32_t bits) { add(BPF_ALU64 | BPF_LSH | BPF_K, to, 0, 0, bits); }
  void shiftRight(Register to, int32_t bits) { add(BPF_ALU64 | BPF_RSH | BPF_K, to, 0, 0, bits); }
  void mask(Register to, int32_t bits) { add(BPF_ALU64 | BPF_AND | BPF_K, to, 0, 0, bits); }
  // Modulo 2^32.
  void subtract32(Register from, Register other) { add(BPF_ALU | BPF_SUB | BPF_X, from, other, 0, 0); }
  void either(Register to, Register other) { add(BPF_ALU64 | BPF_OR | BPF_X, to, other, 0, 0); }
  void increment(Register address, Register by) { add(BPF_STX | BPF_DW | BPF_ATOMIC, address, by, 0, BPF_ADD); }
  // Adds `by` to 64 bits at once for all who look, and has what was there before in `by`.
  void fetchAdd(Register address, int16_t offset, Register by) { add(BPF_STX | BPF_DW | BPF_ATOMIC, address, by, offset, BPF_ADD | BPF_FETCH); }
  // Puts `value` there after all that was stored before, as others see it. May lose `value`.
  void publish(Register address, int16_t offset, Register value) {
#ifdef __x86_64__
    // Stores are seen in their order there; an atomic operation waits until they are seen, up to 100 ns where the other core had the line.
    store(address, offset, value);
#else
    exchange(address, offset, value);
#endif
  }
  // Puts `value` there and what was there into it, 32 bits at once for all who look; a barrier.
  void exchange(Register address, int16_t offset, Register value) { add(BPF_STX | BPF_W | BPF_ATOMIC, address, value, offset, BPF_XCHG); }
  void call(int32_t helper) { add(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
  void exit() { add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
  void map(Register to, const Fd& map) { wide(to, BPF_PSEUDO_MAP_FD, map, 0); }
  void value(Register to, const Fd& map, uint32_t offset) { wide(to, BPF_PSEUDO_MAP_VALUE, map, static_cast<int32_t>(offset)); }

  size_t jump(uint8_t when, Register a, int32_t b) {
    add(static_cast<uint8_t>(BPF_JMP | when | BPF_K), a, 0, 0, b);
    return code_.size() - 1;
  }
  size_t jump(uint8_t when, Register a, Register b) {
    add(static_cast<uint8_t>(BPF_JMP | when | BPF_X), a, b, 0, 0);
    return code_.size() - 1;
  }
  size_t jump() { return jump(BPF_JA, R0, 0); }
  void land(size_t jump) { code_[jump].off = static_cast<int16_t>(code_.size() - jump - 1); }
  void land(const Jumps& jumps) {
    for (const size_t one : jumps) land(one);
  }
  // Where the next instruction will be, for `loop`.
  size_t here() const { return code_.size(); }
  // Back to `begin`; the verifier wants to see that it ends.
  void loop(size_t begin, uint8_t when, Register a, int32_t b) {
    const size_t from = jump(when, a, b);
    code_[from].off = static_cast<int16_t>(static_cast<int64_t>(begin) - static_cast<int64_t>(from) - 1);
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

// Loads a program and attaches it to a link's ingress, before those that are there (tcx, kernel 6.6; it is gone when the descriptor is
// closed). Must run in the link's namespace. SystemError, EINVAL on kernels without tcx.
inline Fd attachIngress(const std::vector<bpf_insn>& code, uint32_t ifindex, const char* name, const std::string& object) {
  bpf_attr a = programAttributes(BPF_PROG_TYPE_SCHED_CLS, code.data(), code.size(), name);
  const Fd program(check(bpf(BPF_PROG_LOAD, a), "BPF_PROG_LOAD", object));
  a = noAttributes();
  a.link_create.prog_fd = static_cast<uint32_t>(program.get());
  a.link_create.target_ifindex = ifindex;
  a.link_create.attach_type = TCX_INGRESS;
  a.link_create.flags = MPROG_BEFORE;
  return Fd(check(bpf(BPF_LINK_CREATE, a), "BPF_LINK_CREATE", object));
}

}  // namespace pteropus
