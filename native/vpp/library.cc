#include "vpp/library.h"

#include <dlfcn.h>

#include <mutex>

#include "common/error.h"

namespace pteropus {

namespace {

// What the library reserves for itself, of address space: tables of messages, no messages.
constexpr size_t HEAP = 64 << 20;

std::mutex guard;
std::string loadedFrom;
ClientLibrary library;

// Its siblings, in the order in which they need one another. A library that was moved finds them only if they are there already.
constexpr const char* SIBLINGS[] = {"libvppinfra", "libsvm", "libvlibapi", "libvlibmemoryclient"};
constexpr const char* STEM = "libvppapiclient";

void* open(const std::string& path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); }

template <typename Function>
void bind(void* handle, const char* name, const std::string& path, Function& into) {
  void* symbol = dlsym(handle, name);
  if (symbol == nullptr) fail("dlsym", ENOENT, path, std::string("it has no ") + name);
  into = reinterpret_cast<Function>(symbol);
}

}  // namespace

ClientLibrary ClientLibrary::load(const std::string& path) {
  const std::lock_guard lock(guard);
  if (loadedFrom == path) return library;
  if (!loadedFrom.empty()) fail("dlopen", EBUSY, path, "this process has loaded " + loadedFrom);
  const size_t name = path.rfind('/') + 1, stem = path.find(STEM, name);
  for (const char* sibling : SIBLINGS) {
    if (stem != std::string::npos) open(path.substr(0, name) + sibling + path.substr(stem + std::string(STEM).size()));
  }
  void* handle = open(path);
  if (handle == nullptr) fail("dlopen", ENOENT, path, dlerror());
  ClientLibrary found;
  bind(handle, "vac_mem_init", path, found.initialize);
  bind(handle, "vac_connect", path, found.connect);
  bind(handle, "vac_disconnect", path, found.disconnect);
  bind(handle, "vac_write", path, found.write);
  bind(handle, "vac_get_msg_index", path, found.messageIndex);
  found.initialize(HEAP);
  library = found;
  loadedFrom = path;
  return library;
}

}  // namespace pteropus
