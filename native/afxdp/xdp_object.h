// The JavaScript class behind the interface Xdp of native/index.ts.
#pragma once
#include <memory>

#include "afxdp/engine.h"
#include "common/napi.h"

namespace pteropus {

class XdpObject : public Napi::ObjectWrap<XdpObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit XdpObject(const Napi::CallbackInfo& info);
  ~XdpObject() override;

 private:
  using Info = const Napi::CallbackInfo&;

  // What the object shares with its functions `step` and `send`, which may outlive it.
  struct Open {
    std::unique_ptr<Engine> engine;  // null: closed
  };

  Engine& engine(Napi::Env env) const;
  static Engine& engine(Napi::Env env, const Open& open);
  template <Napi::Value (*Call)(const Napi::CallbackInfo&)>
  static Napi::Function functionOf(Napi::Env env, const char* name, const std::shared_ptr<Open>& open);
  static Napi::Value step(Info info);
  static Napi::Value send(Info info);

  void openPort(Info info);
  Napi::Value opened(Info info);
  Napi::Value addPort(Info info);
  void removePort(Info info);
  Napi::Value inject(Info info);
  Napi::Value wakeFd(Info info);
  Napi::Value counters(Info info);
  Napi::Value injects(Info info);
  Napi::Value frames(Info info);
  void close(Info info);

  // V8 unmaps a collected WebAssembly memory while the kernel goes on writing to it: the view keeps it alive.
  Napi::Reference<Napi::Uint8Array> memory_;
  std::shared_ptr<Open> open_ = std::make_shared<Open>();
};

}  // namespace pteropus
