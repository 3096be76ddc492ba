// The addon's entry: exports `bind(makeError)`, which returns the interface Native of native/index.ts.
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "afxdp/xdp_object.h"
#include "common/namespace.h"
#include "common/napi.h"
#include "common/shared_pages.h"
#include "common/slice.h"
#include "netlink/netns_object.h"
#include "vpp/channel_object.h"
#include "vpp/segment_object.h"

namespace pteropus {

namespace {

using Info = const Napi::CallbackInfo&;

Napi::Value currentNetns(Info info) {
  const std::string path = "/proc/self/ns/net";
  return NetnsObject::create(info.Env(), path, guarded(info.Env(), [&] { return openNetns(path); }));
}

Napi::Value openNetnsCall(Info info) {
  const std::string path = textOf(info[0], "path");
  return NetnsObject::create(info.Env(), path, guarded(info.Env(), [&] { return openNetns(path); }));
}

Napi::Value createNetnsCall(Info info) {
  const std::string name = textOf(info[0], "name");
  Napi::Object object = NetnsObject::create(info.Env(), netnsPath(name), guarded(info.Env(), [&] { return createNetns(name); }));
  LinkChange up;
  up.up = true;
  guarded(info.Env(), [&] { NetnsObject::of(object).setLink("lo", up); });
  return object;
}

void deleteNetnsCall(Info info) {
  const std::string name = textOf(info[0], "name");
  guarded(info.Env(), [&] { deleteNetns(name); });
}

Napi::Value listNetnsCall(Info info) {
  const auto names = guarded(info.Env(), [] { return listNetns(); });
  Napi::Array array = Napi::Array::New(info.Env(), names.size());
  for (uint32_t i = 0; i < names.size(); i++) array.Set(i, names[i]);
  return array;
}

Napi::Value openXdp(Info info) { return instance(info.Env()).xdp.New({info[0]}); }

Napi::Value openVppChannel(Info info) { return instance(info.Env()).channel.New({info[0], info[1]}); }

Napi::Value openStats(Info info) { return instance(info.Env()).segment.New({info[0]}); }

void wake(Info info) {
  const int fd = static_cast<int>(numberOf(info[0], "wakeFd"));
  guarded(info.Env(), [&] { check(eventfd_write(fd, 1), "eventfd_write", std::to_string(fd)); });
}

void dieWithParent(Info info) {
  guarded(info.Env(), [] { check(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl", "PR_SET_PDEATHSIG"); });
}

void pinThread(Info info) {
  const uint32_t core = numberOf(info[0], "core");
  guarded(info.Env(), [&] {
    if (core >= CPU_SETSIZE) fail("sched_setaffinity", EINVAL, std::to_string(core));
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    check(sched_setaffinity(0, sizeof cores, &cores), "sched_setaffinity", "core " + std::to_string(core));
  });
}

// An ordinary thread's share and niceness stay as they are.
Napi::Value shortSlice(Info info) {
  const uint32_t micros = numberOf(info[0], "micros");
  return Napi::Boolean::New(info.Env(), exchangeSlice(uint64_t{micros} * 1000).has_value());
}

// Linux keeps it for each thread, other than POSIX says.
Napi::Value niceness(Info info) { return Napi::Number::New(info.Env(), getpriority(PRIO_PROCESS, 0)); }

Napi::Value setNice(Info info) {
  const int nice = info[0].As<Napi::Number>().Int32Value();
  return Napi::Boolean::New(info.Env(), setpriority(PRIO_PROCESS, 0, nice) == 0);
}

void yieldThread(Info) { sched_yield(); }

// Whole huge pages inside the bytes only; a kernel without them refuses, which is no error: pages are small then.
Napi::Value preferHugePages(Info info) {
  if (!info[0].IsTypedArray()) throw Napi::TypeError::New(info.Env(), "memory: a Uint8Array is needed");
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t from = (reinterpret_cast<uintptr_t>(bytes.Data()) + page - 1) & ~(page - 1);
  const uintptr_t to = (reinterpret_cast<uintptr_t>(bytes.Data()) + bytes.ByteLength()) & ~(page - 1);
  const bool taken = to > from && madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE) == 0;
  return Napi::Boolean::New(info.Env(), taken);
}

// Other C libraries give memory back by themselves, or cannot be asked to.
void trimMemory(Info) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

// Every view is one place; all are of one length.
void shareMemory(Info info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsArray()) throw Napi::TypeError::New(env, "views: an array is needed");
  const auto views = info[0].As<Napi::Array>();
  std::vector<void*> places;
  size_t length = 0;
  for (uint32_t i = 0; i < views.Length(); i++) {
    const Napi::Value view = views[i];
    if (!view.IsTypedArray()) throw Napi::TypeError::New(env, "views: a Uint8Array is needed");
    auto bytes = view.As<Napi::Uint8Array>();
    if (i != 0 && bytes.ByteLength() != length) throw Napi::TypeError::New(env, "views: not of one length");
    length = bytes.ByteLength();
    places.push_back(bytes.Data());
  }
  guarded(env, [&] { sharePages(places, length); });
}

Napi::Value bind(Info info) {
  const Napi::Env env = info.Env();
  // Bound before by another copy of native/index.js in this environment: the classes must stay the same ones.
  if (auto* bound = env.GetInstanceData<Instance>()) return bound->native.Value();
  auto* state = new Instance;
  env.SetInstanceData(state);
  state->makeError = Napi::Persistent(info[0].As<Napi::Function>());
  state->netns = Napi::Persistent(NetnsObject::define(env));
  state->xdp = Napi::Persistent(XdpObject::define(env));
  state->channel = Napi::Persistent(ChannelObject::define(env));
  state->segment = Napi::Persistent(SegmentObject::define(env));
  Napi::Object native = Napi::Object::New(env);
  native["currentNetns"] = Napi::Function::New<currentNetns>(env);
  native["openNetns"] = Napi::Function::New<openNetnsCall>(env);
  native["createNetns"] = Napi::Function::New<createNetnsCall>(env);
  native["deleteNetns"] = Napi::Function::New<deleteNetnsCall>(env);
  native["listNetns"] = Napi::Function::New<listNetnsCall>(env);
  native["openXdp"] = Napi::Function::New<openXdp>(env);
  native["openVppChannel"] = Napi::Function::New<openVppChannel>(env);
  native["openStats"] = Napi::Function::New<openStats>(env);
  native["wake"] = Napi::Function::New<wake>(env);
  native["dieWithParent"] = Napi::Function::New<dieWithParent>(env);
  native["preferHugePages"] = Napi::Function::New<preferHugePages>(env);
  native["trimMemory"] = Napi::Function::New<trimMemory>(env);
  native["shareMemory"] = Napi::Function::New<shareMemory>(env);
  native["yieldThread"] = Napi::Function::New<yieldThread>(env);
  native["shortSlice"] = Napi::Function::New<shortSlice>(env);
  native["niceness"] = Napi::Function::New<niceness>(env);
  native["setNice"] = Napi::Function::New<setNice>(env);
  native["pinThread"] = Napi::Function::New<pinThread>(env);
  state->native = Napi::Persistent(native);
  return native;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports["bind"] = Napi::Function::New<bind>(env);
  return exports;
}

}  // namespace

}  // namespace pteropus

Napi::Object initPteropus(Napi::Env env, Napi::Object exports) { return pteropus::init(env, exports); }
NODE_API_MODULE(pteropus, initPteropus)
