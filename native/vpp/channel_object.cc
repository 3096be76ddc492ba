#include "vpp/channel_object.h"

namespace pteropus {

namespace {

struct Event {
  std::string name;
  std::string text;
};

}  // namespace

Napi::Function ChannelObject::define(Napi::Env env) {
  return DefineClass(env, "VppChannel",
                     {
                         InstanceMethod<&ChannelObject::messageIndex>("messageIndex"),
                         InstanceMethod<&ChannelObject::send>("send"),
                         InstanceMethod<&ChannelObject::take>("take"),
                         InstanceMethod<&ChannelObject::close>("close"),
                     });
}

ChannelObject::ChannelObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ChannelObject>(info) {
  const Napi::Object options = objectOf(info[0], "options");
  if (!info[1].IsFunction()) throw Napi::TypeError::New(info.Env(), "listener: a function is needed");
  const std::string library = text(options, "library"), prefix = text(options, "prefix"), name = text(options, "name");
  const ClientLibrary loaded = guarded(info.Env(), [&] { return ClientLibrary::load(library); });
  listener_ = Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "VPP", 0, 1);
  ShmChannel::Events events;
  events.connected = [this](const char* why) { tell(why == nullptr ? "connected" : "failed", why == nullptr ? "" : why); };
  events.arrived = [this] { tell("arrived", ""); };
  events.closed = [this] { tell("closed", ""); };
  try {
    channel_ = std::make_unique<ShmChannel>(loaded, prefix, name, std::move(events));
  } catch (const SystemError& e) {
    listener_.Release();
    rethrow(info.Env(), e);
  }
  // Nobody may forget it while its threads run.
  open_ = true;
  Ref();
}

void ChannelObject::tell(const char* event, const char* text) {
  auto* told = new Event{event, text};
  const auto call = [this](Napi::Env env, Napi::Function listener, Event* event) {
    const std::unique_ptr<Event> owned(event);
    if (env == nullptr) return;
    if (owned->name == "closed") {
      channel_.reset();
      open_ = false;
      listener_.Release();
      Unref();
    }
    listener.Call({Napi::String::New(env, owned->name), Napi::String::New(env, owned->text)});
  };
  if (listener_.NonBlockingCall(told, call) != napi_ok) delete told;
}

Napi::Value ChannelObject::messageIndex(Info info) {
  const std::string name = textOf(info[0], "name");
  return Napi::Number::New(info.Env(), open_ ? channel_->messageIndex(name) : -1);
}

void ChannelObject::send(Info info) {
  if (!info[0].IsTypedArray()) throw Napi::TypeError::New(info.Env(), "message: a Uint8Array is needed");
  auto bytes = info[0].As<Napi::Uint8Array>();
  if (open_) channel_->send(Message(bytes.Data(), bytes.Data() + bytes.ByteLength()));
}

Napi::Value ChannelObject::take(Info info) {
  const std::vector<Message> messages = channel_ == nullptr ? std::vector<Message>{} : channel_->take();
  Napi::Array array = Napi::Array::New(info.Env(), messages.size());
  for (uint32_t i = 0; i < messages.size(); i++)
    array.Set(i, Napi::Buffer<uint8_t>::Copy(info.Env(), messages[i].data(), messages[i].size()));
  return array;
}

void ChannelObject::close(Info) {
  if (open_) channel_->close();
  open_ = false;
}

}  // namespace pteropus
