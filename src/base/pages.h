#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/error.h"

namespace dunlin {

/// Memory that comes from the system when it is first written, in large pages (2 MiB) where the
/// system has them: a processor that streams through small ones spends up to half of its time on
/// finding them. Zeros at first; aligned to a large page. Errors: OutOfMemory. [any thread]
Expected<std::shared_ptr<std::byte>> map_pages(size_t bytes);

/// Whether the system has them for who asks, by Linux' setting "always [madvise] never" in
/// `setting`.
bool has_large_pages(const std::string& setting = "/sys/kernel/mm/transparent_hugepage/enabled");

/// Pieces of such memory, side by side, so that small ones share large pages. A piece lives as long
/// as its pointer, and keeps its neighbours' memory with it. [one thread]
class PageArena {
 public:
    /// `bytes` of zeros that begin at a cache line.
    Expected<std::shared_ptr<std::byte>> take(size_t bytes);

 private:
    std::shared_ptr<std::byte> chunk_;
    size_t used_ = 0, size_ = 0;
};

}  // namespace dunlin
