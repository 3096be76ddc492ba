#include "vpp/segment_object.h"

#include <cmath>

namespace pteropus {

Napi::Function SegmentObject::define(Napi::Env env) {
  return DefineClass(env, "StatsSegment",
                     {
                         InstanceAccessor<&SegmentObject::size>("size"),
                         InstanceMethod<&SegmentObject::copy>("copy"),
                         InstanceMethod<&SegmentObject::close>("close"),
                     });
}

SegmentObject::SegmentObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SegmentObject>(info) {
  const std::string path = textOf(info[0], "socketPath");
  segment_ = guarded(info.Env(), [&] { return std::make_unique<StatsSegment>(path); });
}

Napi::Value SegmentObject::size(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(segment_->size()));
}

Napi::Value SegmentObject::copy(Info info) {
  if (!info[0].IsNumber()) throw Napi::TypeError::New(info.Env(), "offset: a number is needed");
  if (!info[1].IsTypedArray()) throw Napi::TypeError::New(info.Env(), "into: a Uint8Array is needed");
  const double offset = info[0].As<Napi::Number>().DoubleValue();
  auto into = info[1].As<Napi::Uint8Array>();
  const bool whole = offset >= 0 && offset <= 9007199254740991.0 && std::floor(offset) == offset;
  const bool done = whole && segment_->copy(static_cast<uint64_t>(offset), into.Data(), into.ByteLength());
  return Napi::Boolean::New(info.Env(), done);
}

void SegmentObject::close(Info) { segment_->close(); }

}  // namespace pteropus
