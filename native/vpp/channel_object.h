// The JavaScript class behind the interface VppChannel of native/index.ts.
#pragma once
#include <memory>

#include "common/napi.h"
#include "vpp/channel.h"

namespace pteropus {

class ChannelObject : public Napi::ObjectWrap<ChannelObject> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit ChannelObject(const Napi::CallbackInfo& info);

 private:
  using Info = const Napi::CallbackInfo&;
  Napi::Value messageIndex(Info info);
  void send(Info info);
  Napi::Value take(Info info);
  void close(Info info);
  // From any thread: calls the listener with the event's name and text.
  void tell(const char* event, const char* text);

  Napi::ThreadSafeFunction listener_;
  // Absent before it is made, and after it has ended.
  std::unique_ptr<ShmChannel> channel_;
  bool open_ = false;
};

}  // namespace pteropus
