// Memory that BPF programs and we have in common.
#pragma once
#include <cstdint>
#include <string>

#include "common/fd.h"

namespace pteropus {

// A map of one value, mapped; zero at first. SystemError.
class SharedValue {
 public:
  SharedValue(uint32_t bytes, const std::string& object);
  SharedValue(const SharedValue&) = delete;
  SharedValue& operator=(const SharedValue&) = delete;
  ~SharedValue();

  const Fd& map() const { return map_; }
  uint8_t* bytes() const { return bytes_; }
  template <typename T>
  T* at(uint32_t offset) const {
    return reinterpret_cast<T*>(bytes_ + offset);
  }

 private:
  Fd map_;
  uint32_t mapped_;
  uint8_t* bytes_;
};

}  // namespace pteropus
