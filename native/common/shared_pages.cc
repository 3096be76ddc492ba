#include "common/shared_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"

namespace pteropus {

namespace {
constexpr uintptr_t hugePage = uintptr_t{2} << 20;
}

void sharePages(const std::vector<void*>& places, size_t length) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  if (length == 0 || length % page != 0) fail("mmap", EINVAL, "shared pages", "not whole pages");
  for (void* place : places)
    if (reinterpret_cast<uintptr_t>(place) % page != 0) fail("mmap", EINVAL, "shared pages", "not at a page's start");
  const Fd file(check(memfd_create("pteropus-shared", MFD_CLOEXEC), "memfd_create", "shared pages"));
  // A huge page of the file is mapped as one where it lies in the file as it does in memory.
  const auto offset = places.empty() ? 0 : static_cast<off_t>(reinterpret_cast<uintptr_t>(places[0]) % hugePage);
  check(ftruncate(file.get(), offset + static_cast<off_t>(length)), "ftruncate", "shared pages");
  for (void* place : places)
    if (mmap(place, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.get(), offset) == MAP_FAILED)
      fail("mmap", errno, "shared pages");
}

}  // namespace pteropus
