// The JavaScript class behind the interface Netns of native/index.ts.
#pragma once
#include <memory>

#include "common/napi.h"
#include "netlink/netns.h"

namespace pteropus {

class NetnsObject : public Napi::ObjectWrap<NetnsObject> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Object create(Napi::Env env, std::string path, Fd fd);
  // The namespace behind a JavaScript value; TypeError if it is none.
  static Netns& of(const Napi::Value& value);

  explicit NetnsObject(const Napi::CallbackInfo& info);

 private:
  using Info = const Napi::CallbackInfo&;
  Napi::Value path(Info info);
  Napi::Value links(Info info);
  void createVeth(Info info);
  void createBridge(Info info);
  void createTap(Info info);
  void deleteLink(Info info);
  void deleteLinks(Info info);
  void setLink(Info info);
  void addAddress(Info info);
  void removeAddress(Info info);
  Napi::Value addresses(Info info);
  void addRoute(Info info);
  void removeRoute(Info info);
  void addNeighbor(Info info);
  void deafen(Info info);
  void setOffloads(Info info);
  void setSysctl(Info info);
  void close(Info info);

  std::unique_ptr<Netns> netns_;
};

}  // namespace pteropus
