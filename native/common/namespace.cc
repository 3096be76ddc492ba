#include "common/namespace.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include "common/error.h"

namespace pteropus {

namespace {

constexpr const char* RUN_DIR = "/run/netns";

// Runs `work` on a thread of its own and carries its error over.
void onThread(const std::string& object, const std::function<void()>& work) {
  std::optional<SystemError> error;
  try {
    std::thread thread([&] {
      try {
        work();
      } catch (SystemError& e) {
        error = std::move(e);
      }
    });
    thread.join();
  } catch (const std::system_error& e) {
    fail("pthread_create", e.code().value(), object);
  }
  if (error) throw *error;
}

// Mounts made below must reach every mount namespace, and those of others us: so the folder is a shared mount (iproute2).
void shareRunDir() {
  if (mkdir(RUN_DIR, 0755) < 0 && errno != EEXIST) fail("mkdir", errno, RUN_DIR);
  if (mount("", RUN_DIR, "none", MS_SHARED | MS_REC, nullptr) == 0) return;
  // EINVAL: not a mount point yet. Bind it onto itself first.
  if (errno != EINVAL) fail("mount", errno, RUN_DIR);
  check(mount(RUN_DIR, RUN_DIR, "none", MS_BIND | MS_REC, nullptr), "mount", RUN_DIR);
  check(mount("", RUN_DIR, "none", MS_SHARED | MS_REC, nullptr), "mount", RUN_DIR);
}

void checkName(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos || name.size() > 255)
    fail("netns name", EINVAL, name);
}

}  // namespace

std::string netnsPath(const std::string& name) { return std::string(RUN_DIR) + "/" + name; }

void runIn(int netnsFd, const std::string& path, const std::function<void()>& work) {
  if (netnsFd < 0) return work();
  onThread(path, [&] {
    check(setns(netnsFd, CLONE_NEWNET), "setns", path);
    work();
  });
}

Fd openNetns(const std::string& path) { return Fd(check(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open", path)); }

Fd createNetns(const std::string& name) {
  checkName(name);
  shareRunDir();
  const std::string path = netnsPath(name);
  // O_EXCL: two creators of one name never both succeed.
  Fd(check(open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0), "open", path));
  try {
    onThread(path, [&] {
      check(unshare(CLONE_NEWNET), "unshare", path);
      check(mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr), "mount", path);
    });
    return openNetns(path);
  } catch (...) {
    deleteNetns(name);
    throw;
  }
}

void deleteNetns(const std::string& name) {
  checkName(name);
  const std::string path = netnsPath(name);
  // EINVAL: a plain file that a killed creator left; ENOENT: nothing there.
  if (umount2(path.c_str(), MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT) fail("umount", errno, path);
  if (unlink(path.c_str()) < 0 && errno != ENOENT) fail("unlink", errno, path);
}

std::vector<std::string> listNetns() {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(RUN_DIR), closedir);
  if (!dir) {
    if (errno == ENOENT) return names;
    fail("opendir", errno, RUN_DIR);
  }
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

}  // namespace pteropus
