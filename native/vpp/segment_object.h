// The JavaScript class behind the interface StatsSegment of native/index.ts.
#pragma once
#include <memory>

#include "common/napi.h"
#include "vpp/segment.h"

namespace pteropus {

class SegmentObject : public Napi::ObjectWrap<SegmentObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit SegmentObject(const Napi::CallbackInfo& info);

 private:
  using Info = const Napi::CallbackInfo&;
  Napi::Value size(Info info);
  Napi::Value copy(Info info);
  void close(Info info);

  std::unique_ptr<StatsSegment> segment_;
};

}  // namespace pteropus
