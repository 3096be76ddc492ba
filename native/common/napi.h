// What every N-API file needs: errors that become JavaScript's NativeError, options read from objects, one state per Worker.
#pragma once
#include <napi.h>

#include <optional>
#include <string>

#include "common/error.h"

namespace pteropus {

// The addon's state in one JavaScript environment: main thread and Workers each have their own, so there are no globals.
struct Instance {
  Napi::FunctionReference makeError;
  Napi::FunctionReference netns;
  Napi::FunctionReference xdp;
  Napi::FunctionReference segment;
  Napi::FunctionReference channel;
  Napi::ObjectReference native;
};

inline Instance& instance(Napi::Env env) { return *env.GetInstanceData<Instance>(); }  // set by `bind`

// makeError(syscall, errno, object, detail): the TypeScript side makes its NativeError.
inline Napi::Value errorOf(Napi::Env env, const SystemError& e) {
  return instance(env).makeError.Call({
      Napi::String::New(env, e.syscall),
      Napi::Number::New(env, e.error),
      Napi::String::New(env, e.object),
      Napi::String::New(env, e.detail),
  });
}

[[noreturn]] inline void rethrow(Napi::Env env, const SystemError& e) { throw Napi::Error(env, errorOf(env, e)); }

// Runs C++ that may fail with SystemError inside a JavaScript call.
template <typename Work>
auto guarded(Napi::Env env, Work work) {
  try {
    return work();
  } catch (const SystemError& e) {
    rethrow(env, e);
  }
}

inline bool present(const Napi::Value& value) { return !value.IsUndefined(); }

inline std::string textOf(const Napi::Value& value, const char* what) {
  if (!value.IsString()) throw Napi::TypeError::New(value.Env(), std::string(what) + ": a string is needed");
  return value.As<Napi::String>().Utf8Value();
}

inline uint32_t numberOf(const Napi::Value& value, const char* what) {
  if (!value.IsNumber()) throw Napi::TypeError::New(value.Env(), std::string(what) + ": a number is needed");
  return value.As<Napi::Number>().Uint32Value();
}

inline Napi::Object objectOf(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) throw Napi::TypeError::New(value.Env(), std::string(what) + ": an object is needed");
  return value.As<Napi::Object>();
}

inline std::string text(const Napi::Object& object, const char* key) { return textOf(object.Get(key), key); }
inline uint32_t number(const Napi::Object& object, const char* key) { return numberOf(object.Get(key), key); }

inline std::optional<std::string> optionalText(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  return present(value) ? std::optional(textOf(value, key)) : std::nullopt;
}

inline std::optional<uint32_t> optionalNumber(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  return present(value) ? std::optional(numberOf(value, key)) : std::nullopt;
}

inline std::optional<bool> optionalBool(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  return present(value) ? std::optional(value.ToBoolean().Value()) : std::nullopt;
}

}  // namespace pteropus
