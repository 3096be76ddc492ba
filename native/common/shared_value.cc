#include "common/shared_value.h"

#include <sys/mman.h>

#include "common/bpf.h"
#include "common/error.h"

namespace pteropus {

namespace {

constexpr uint32_t PAGE = 4096;

Fd createArray(uint32_t bytes, const std::string& object) {
  bpf_attr a = noAttributes();
  a.map_type = BPF_MAP_TYPE_ARRAY;
  a.key_size = sizeof(uint32_t);
  a.value_size = bytes;
  a.max_entries = 1;
  a.map_flags = BPF_F_MMAPABLE;
  return Fd(check(bpf(BPF_MAP_CREATE, a), "BPF_MAP_CREATE", object));
}

}  // namespace

SharedValue::SharedValue(uint32_t bytes, const std::string& object)
    : map_(createArray(bytes, object)), mapped_((bytes + PAGE - 1) / PAGE * PAGE) {
  void* const pages = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, map_.get(), 0);
  if (pages == MAP_FAILED) fail("mmap", errno, object);
  bytes_ = static_cast<uint8_t*>(pages);
}

SharedValue::~SharedValue() { munmap(bytes_, mapped_); }

}  // namespace pteropus
