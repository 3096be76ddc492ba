#include "common/shared_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd.h"

namespace pteropus {

void sharePages(const std::vector<void*>& places, size_t length) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  if (length == 0 || length % page != 0) fail("mmap", EINVAL, "shared pages", "not whole pages");
  for (void* place : places)
    if (reinterpret_cast<uintptr_t>(place) % page != 0) fail("mmap", EINVAL, "shared pages", "not at a page's start");
  const Fd file(check(memfd_create("pteropus-images", MFD_CLOEXEC), "memfd_create", "shared pages"));
  check(ftruncate(file.get(), static_cast<off_t>(length)), "ftruncate", "shared pages");
  for (void* place : places) {
    if (mmap(place, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.get(), 0) == MAP_FAILED)
      fail("mmap", errno, "shared pages");
    // Where the kernel gives huge pages to shared memory at all; small ones are no error.
    madvise(place, length, MADV_HUGEPAGE);
  }
}

}  // namespace pteropus
