#include "afxdp/xdp_object.h"

#include <fcntl.h>

#include "netlink/netns_object.h"

namespace pteropus {

namespace {

AttachMode modeOf(const Napi::Object& spec) {
  const std::string mode = text(spec, "mode");
  if (mode == "native") return AttachMode::Native;
  if (mode == "generic") return AttachMode::Generic;
  if (mode == "auto") return AttachMode::Auto;
  if (mode == "tap") return AttachMode::Tap;
  if (mode == "copy") return AttachMode::Copy;
  throw Napi::TypeError::New(spec.Env(), "mode: native, generic, auto, tap or copy is needed");
}

Sending sendingOf(const Napi::Object& spec) {
  if (spec.Get("sending").IsUndefined()) return Sending::Best;
  const std::string sending = text(spec, "sending");
  if (sending == "best") return Sending::Best;
  if (sending == "xdp") return Sending::Xdp;
  throw Napi::TypeError::New(spec.Env(), "sending: best or xdp is needed");
}

const char* nameOf(AttachMode mode) {
  switch (mode) {
    case AttachMode::Native: return "native";
    case AttachMode::Generic: return "generic";
    case AttachMode::Tap: return "tap";
    case AttachMode::Copy: return "copy";
    case AttachMode::Auto: break;
  }
  return "auto";
}

// The descriptor is a copy: the caller may close its Netns while the port is being opened.
PortSpec portSpec(const Napi::Object& spec) {
  const Napi::Value netns = spec.Get("netns");
  PortSpec wanted{Fd(), "/proc/self/ns/net", text(spec, "link"), modeOf(spec), number(spec, "mtu"), sendingOf(spec)};
  if (netns.IsNull()) return wanted;
  const Netns& inside = NetnsObject::of(netns);
  wanted.netnsPath = inside.path();
  wanted.netns = Fd(check(fcntl(inside.fd(), F_DUPFD_CLOEXEC, 0), "dup", inside.path()));
  return wanted;
}

Napi::Object openedObject(Napi::Env env, const Opened& opened) {
  Napi::Object object = Napi::Object::New(env);
  object["port"] = opened.port;
  object["mode"] = nameOf(opened.mode);
  object["multiBuffer"] = opened.multiBuffer;
  object["error"] = opened.error ? errorOf(env, *opened.error) : env.Null();
  return object;
}

bool powerOfTwo(uint32_t n) { return n != 0 && (n & (n - 1)) == 0; }

// Refuses what the kernel would refuse with a bare EINVAL, and what would read or write outside the memory.
void checkSpec(const EngineSpec& s) {
  const auto refuse = [](const char* field, const char* why) { fail("openXdp", EINVAL, field, why); };
  const uint64_t vectorEnd = s.vectorOffset + static_cast<uint64_t>(s.vectorCapacity) * (layout::VECTOR_SIZE + sizeof(uint32_t));
  const uint64_t framesEnd = s.framesOffset + static_cast<uint64_t>(s.frameCount) * Umem::stepOf(s.frameSize);
  if (s.frameSize != 2048 && s.frameSize != 4096) refuse("frameSize", "2048 or 4096 is needed");
  if (!powerOfTwo(s.frameCount)) refuse("frameCount", "a power of two is needed");
  if ((reinterpret_cast<uint64_t>(s.memory) + s.framesOffset) % 4096 != 0) refuse("framesOffset", "it must be page-aligned");
  if (framesEnd > s.memorySize) refuse("frameCount", "the frames end behind the memory");
  if (framesEnd > UINT32_MAX) refuse("frameCount", "addresses have 32 bits");
  if (vectorEnd > s.memorySize) refuse("vectorCapacity", "the vector ends behind the memory");
  if (s.share.workers == 0 || s.share.worker >= s.share.workers) refuse("worker", "less than workers is needed");
  if (s.batch == 0 || s.batch > s.vectorCapacity) refuse("batch", "1 to vectorCapacity is needed");
}

}  // namespace

Napi::Function XdpObject::define(Napi::Env env) {
  return DefineClass(env, "Xdp",
                     {
                         InstanceMethod<&XdpObject::openPort>("openPort"),
                         InstanceMethod<&XdpObject::opened>("opened"),
                         InstanceMethod<&XdpObject::addPort>("addPort"),
                         InstanceMethod<&XdpObject::removePort>("removePort"),
                         InstanceMethod<&XdpObject::inject>("inject"),
                         InstanceAccessor<&XdpObject::wakeFd>("wakeFd"),
                         InstanceMethod<&XdpObject::counters>("counters"),
                         InstanceMethod<&XdpObject::injects>("injects"),
                         InstanceMethod<&XdpObject::frames>("frames"),
                         InstanceMethod<&XdpObject::close>("close"),
                     });
}

XdpObject::XdpObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<XdpObject>(info) {
  const Napi::Env env = info.Env();
  const Napi::Object options = objectOf(info[0], "options");
  if (!options.Get("memory").IsTypedArray()) throw Napi::TypeError::New(env, "memory: a Uint8Array is needed");
  auto memory = options.Get("memory").As<Napi::Uint8Array>();
  const EngineSpec spec{memory.Data(),
                        memory.ByteLength(),
                        number(options, "vectorOffset"),
                        number(options, "vectorCapacity"),
                        number(options, "framesOffset"),
                        number(options, "frameSize"),
                        number(options, "frameCount"),
                        number(options, "batch"),
                        {optionalNumber(options, "worker").value_or(0), optionalNumber(options, "workers").value_or(1)}};
  memory_ = Napi::Reference<Napi::Uint8Array>::New(memory, 1);
  guarded(env, [&] {
    checkSpec(spec);
    open_->engine = std::make_unique<Engine>(spec);
  });
  Value().Set("step", functionOf<step>(env, "step", open_));
  Value().Set("send", functionOf<send>(env, "send", open_));
}

// The engine ends before the memory that it works on.
XdpObject::~XdpObject() { open_->engine.reset(); }

Engine& XdpObject::engine(Napi::Env env, const Open& open) {
  if (!open.engine) rethrow(env, SystemError{"xdp", EBADF, "xdp", "closed"});
  return *open.engine;
}

Engine& XdpObject::engine(Napi::Env env) const { return engine(env, *open_); }

// A function of the object's own and not a method of its class: finding the object behind `this` costs several times as much as the call, and
// after a sleep, when nothing of it is in a cache, ten microseconds.
template <Napi::Value (*Call)(const Napi::CallbackInfo&)>
Napi::Function XdpObject::functionOf(Napi::Env env, const char* name, const std::shared_ptr<Open>& open) {
  auto data = std::make_unique<std::shared_ptr<Open>>(open);
  Napi::Function function = Napi::Function::New<Call>(env, name, data.get());
  function.AddFinalizer([](Napi::Env, std::shared_ptr<Open>* shared) { delete shared; }, data.get());
  data.release();
  return function;
}

Napi::Value XdpObject::step(Info info) {
  const Napi::Env env = info.Env();
  Engine& open = engine(env, **static_cast<std::shared_ptr<Open>*>(info.Data()));
  const bool bound = info[2].IsBoolean() && info[2].As<Napi::Boolean>().Value();
  return Napi::Number::New(env, open.step(info[0].As<Napi::Number>().Uint32Value(), info[1].As<Napi::Number>().Uint32Value(), bound));
}

Napi::Value XdpObject::send(Info info) {
  const Napi::Env env = info.Env();
  engine(env, **static_cast<std::shared_ptr<Open>*>(info.Data())).send(info[0].As<Napi::Number>().Uint32Value());
  return env.Undefined();
}

void XdpObject::openPort(Info info) {
  const uint32_t port = numberOf(info[0], "port");
  const Napi::Object spec = objectOf(info[1], "spec");
  guarded(info.Env(), [&] { engine(info.Env()).openPort(port, portSpec(spec)); });
}

Napi::Value XdpObject::opened(Info info) {
  const Napi::Env env = info.Env();
  const std::vector<Opened> opened = engine(env).opened();
  Napi::Array array = Napi::Array::New(env, opened.size());
  for (uint32_t i = 0; i < opened.size(); i++) array.Set(i, openedObject(env, opened[i]));
  return array;
}

Napi::Value XdpObject::addPort(Info info) {
  const Napi::Env env = info.Env();
  const uint32_t port = numberOf(info[0], "port");
  const Napi::Object spec = objectOf(info[1], "spec");
  return openedObject(env, guarded(env, [&] { return engine(env).addPort(port, portSpec(spec)); }));
}

void XdpObject::removePort(Info info) { engine(info.Env()).removePort(numberOf(info[0], "port")); }

Napi::Value XdpObject::inject(Info info) {
  const Napi::Env env = info.Env();
  if (!info[1].IsTypedArray()) throw Napi::TypeError::New(env, "bytes: a Uint8Array is needed");
  const auto bytes = info[1].As<Napi::Uint8Array>();
  const auto length = static_cast<uint32_t>(bytes.ByteLength());
  return Napi::Boolean::New(env, engine(env).inject(numberOf(info[0], "at"), bytes.Data(), length, numberOf(info[2], "port")));
}

Napi::Value XdpObject::wakeFd(Info info) { return Napi::Number::New(info.Env(), engine(info.Env()).wakeFd()); }

Napi::Value XdpObject::counters(Info info) {
  const Napi::Env env = info.Env();
  const uint32_t port = numberOf(info[0], "port");
  const Counters counters = guarded(env, [&] { return engine(env).counters(port); });
  Napi::Object result = Napi::Object::New(env);
  result["rxDropped"] = static_cast<double>(counters.rxDropped);
  result["txFull"] = static_cast<double>(counters.txFull);
  result["fillEmpty"] = static_cast<double>(counters.fillEmpty);
  result["invalid"] = static_cast<double>(counters.invalid);
  return result;
}

Napi::Value XdpObject::injects(Info info) {
  const Napi::Env env = info.Env();
  const uint32_t port = numberOf(info[0], "port");
  return Napi::Boolean::New(env, guarded(env, [&] { return engine(env).injects(port); }));
}

Napi::Value XdpObject::frames(Info info) {
  const FrameCounts counts = engine(info.Env()).frames();
  Napi::Object result = Napi::Object::New(info.Env());
  result["total"] = counts.total;
  result["free"] = counts.free;
  result["caller"] = counts.caller;
  result["kernel"] = counts.kernel;
  return result;
}

void XdpObject::close(Info) {
  open_->engine.reset();
  memory_.Reset();
}

}  // namespace pteropus
