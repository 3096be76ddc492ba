#include "netlink/netns_object.h"

#include "common/namespace.h"
#include "tap/device.h"

namespace pteropus {

namespace {

VethEnd vethEnd(const Napi::Object& end) {
  return {text(end, "name"), optionalText(end, "mac"), optionalNumber(end, "mtu"), optionalNumber(end, "queues")};
}

Route routeOf(const Napi::Object& spec) {
  Route route{text(spec, "destination"), text(spec, "link"), optionalText(spec, "gateway"), optionalText(spec, "source")};
  route.linkScope = optionalText(spec, "scope").value_or("global") == "link";
  route.mtu = optionalNumber(spec, "mtu");
  route.metric = optionalNumber(spec, "metric");
  return route;
}

LinkChange changeOf(const Napi::Object& change) {
  LinkChange result{optionalBool(change, "up"), optionalNumber(change, "mtu"), optionalText(change, "mac")};
  const Napi::Value master = change.Get("master");
  if (present(master)) result.master = master.IsNull() ? "" : textOf(master, "master");
  result.newName = optionalText(change, "newName");
  return result;
}

Napi::Object linkObject(Napi::Env env, const LinkInfo& link) {
  Napi::Object object = Napi::Object::New(env);
  object["name"] = link.name;
  object["index"] = link.index;
  object["type"] = link.type;
  object["mac"] = link.mac;
  object["mtu"] = link.mtu;
  object["up"] = link.up;
  object["peerIndex"] = link.peerIndex;
  object["master"] = link.master;
  object["rxQueues"] = link.rxQueues;
  return object;
}

// Carries the descriptor into the constructor, which only this file calls.
struct Opened {
  std::string path;
  Fd fd;
};

}  // namespace

Napi::Function NetnsObject::define(Napi::Env env) {
  return DefineClass(env, "Netns",
                     {
                         InstanceAccessor<&NetnsObject::path>("path"),
                         InstanceMethod<&NetnsObject::links>("links"),
                         InstanceMethod<&NetnsObject::createVeth>("createVeth"),
                         InstanceMethod<&NetnsObject::createBridge>("createBridge"),
                         InstanceMethod<&NetnsObject::createTap>("createTap"),
                         InstanceMethod<&NetnsObject::deleteLink>("deleteLink"),
                         InstanceMethod<&NetnsObject::deleteLinks>("deleteLinks"),
                         InstanceMethod<&NetnsObject::setLink>("setLink"),
                         InstanceMethod<&NetnsObject::addAddress>("addAddress"),
                         InstanceMethod<&NetnsObject::removeAddress>("removeAddress"),
                         InstanceMethod<&NetnsObject::addresses>("addresses"),
                         InstanceMethod<&NetnsObject::addRoute>("addRoute"),
                         InstanceMethod<&NetnsObject::removeRoute>("removeRoute"),
                         InstanceMethod<&NetnsObject::addNeighbor>("addNeighbor"),
                         InstanceMethod<&NetnsObject::deafen>("deafen"),
                         InstanceMethod<&NetnsObject::setOffloads>("setOffloads"),
                         InstanceMethod<&NetnsObject::setSysctl>("setSysctl"),
                         InstanceMethod<&NetnsObject::close>("close"),
                     });
}

NetnsObject::NetnsObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NetnsObject>(info) {
  if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "Netns objects come from openNetns or createNetns");
  auto* opened = info[0].As<Napi::External<Opened>>().Data();
  netns_ = guarded(info.Env(), [&] { return std::make_unique<Netns>(std::move(opened->path), std::move(opened->fd)); });
}

Napi::Object NetnsObject::create(Napi::Env env, std::string path, Fd fd) {
  Opened opened{std::move(path), std::move(fd)};
  return instance(env).netns.New({Napi::External<Opened>::New(env, &opened)});
}

Netns& NetnsObject::of(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(instance(value.Env()).netns.Value()))
    throw Napi::TypeError::New(value.Env(), "netns: a Netns is needed");
  return *Unwrap(value.As<Napi::Object>())->netns_;
}

Napi::Value NetnsObject::path(Info info) { return Napi::String::New(info.Env(), netns_->path()); }

Napi::Value NetnsObject::links(Info info) {
  const auto links = guarded(info.Env(), [&] { return netns_->links(); });
  Napi::Array array = Napi::Array::New(info.Env(), links.size());
  for (uint32_t i = 0; i < links.size(); i++) array.Set(i, linkObject(info.Env(), links[i]));
  return array;
}

void NetnsObject::createVeth(Info info) {
  const Napi::Object farSpec = objectOf(info[1], "far");
  const VethEnd near = vethEnd(objectOf(info[0], "near")), far = vethEnd(farSpec);
  const Napi::Value other = farSpec.Get("netns");
  const Netns* farNetns = present(other) ? &of(other) : nullptr;
  guarded(info.Env(), [&] { netns_->createVeth(near, far, farNetns); });
}

void NetnsObject::createBridge(Info info) {
  const std::string name = textOf(info[0], "name");
  const auto mtu = present(info[1]) ? optionalNumber(objectOf(info[1], "options"), "mtu") : std::nullopt;
  guarded(info.Env(), [&] { netns_->createBridge(name, mtu); });
}

void NetnsObject::createTap(Info info) {
  const std::string name = textOf(info[0], "name"), object = name + " in " + netns_->path();
  const bool multiQueue = info[1].IsObject() && info[1].As<Napi::Object>().Get("multiQueue").ToBoolean();
  guarded(info.Env(), [&] { runIn(netns_->fd(), netns_->path(), [&] { pteropus::createTap(name, object, multiQueue); }); });
}

void NetnsObject::deleteLink(Info info) {
  const std::string name = textOf(info[0], "name");
  guarded(info.Env(), [&] { netns_->deleteLink(name); });
}

void NetnsObject::deleteLinks(Info info) {
  if (!info[0].IsArray()) throw Napi::TypeError::New(info.Env(), "names: an array is needed");
  const Napi::Array array = info[0].As<Napi::Array>();
  std::vector<std::string> names;
  for (uint32_t i = 0; i < array.Length(); i++) names.push_back(textOf(array.Get(i), "name"));
  guarded(info.Env(), [&] { netns_->deleteLinks(names); });
}

void NetnsObject::setLink(Info info) {
  const std::string name = textOf(info[0], "name");
  const LinkChange change = changeOf(objectOf(info[1], "change"));
  guarded(info.Env(), [&] { netns_->setLink(name, change); });
}

void NetnsObject::addAddress(Info info) {
  const std::string link = textOf(info[0], "link"), cidr = textOf(info[1], "cidr");
  guarded(info.Env(), [&] { netns_->changeAddress(true, link, cidr); });
}

void NetnsObject::removeAddress(Info info) {
  const std::string link = textOf(info[0], "link"), cidr = textOf(info[1], "cidr");
  guarded(info.Env(), [&] { netns_->changeAddress(false, link, cidr); });
}

Napi::Value NetnsObject::addresses(Info info) {
  const std::string link = textOf(info[0], "link");
  const auto found = guarded(info.Env(), [&] { return netns_->addresses(link); });
  Napi::Array array = Napi::Array::New(info.Env(), found.size());
  for (uint32_t i = 0; i < found.size(); i++) array.Set(i, found[i]);
  return array;
}

void NetnsObject::addRoute(Info info) {
  const Route route = routeOf(objectOf(info[0], "route"));
  guarded(info.Env(), [&] { netns_->changeRoute(true, route); });
}

void NetnsObject::removeRoute(Info info) {
  const Route route = routeOf(objectOf(info[0], "route"));
  guarded(info.Env(), [&] { netns_->changeRoute(false, route); });
}

void NetnsObject::addNeighbor(Info info) {
  const std::string link = textOf(info[0], "link"), address = textOf(info[1], "address"), mac = textOf(info[2], "mac");
  guarded(info.Env(), [&] { netns_->addNeighbor(link, address, mac); });
}

void NetnsObject::deafen(Info info) {
  const std::string link = textOf(info[0], "link");
  guarded(info.Env(), [&] { netns_->deafen(link); });
}

void NetnsObject::setOffloads(Info info) {
  const std::string link = textOf(info[0], "link");
  const Napi::Object features = objectOf(info[1], "features");
  const Offloads offloads{optionalBool(features, "txChecksum"), optionalBool(features, "tso"),
                          optionalBool(features, "gso"), optionalBool(features, "gro"), optionalBool(features, "rxVlan")};
  guarded(info.Env(), [&] { netns_->setOffloads(link, offloads); });
}

void NetnsObject::setSysctl(Info info) {
  const std::string name = textOf(info[0], "name"), value = textOf(info[1], "value");
  guarded(info.Env(), [&] { netns_->setSysctl(name, value); });
}

void NetnsObject::close(Info) { netns_->close(); }

}  // namespace pteropus
