// One piece of memory at several places of this process.
#pragma once
#include <cstddef>
#include <vector>

namespace pteropus {

// Replaces the `length` bytes at each of `places` by the same pages, zeroed. Whole pages only. They live as long as any of the mappings
// that the places belong to. Throws SystemError.
void sharePages(const std::vector<void*>& places, size_t length);

}  // namespace pteropus
