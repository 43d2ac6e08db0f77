#include "base/pages.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>

#include <sys/mman.h>

#include "base/checked.h"
#include "base/line_vector.h"

namespace dunlin {
namespace {

constexpr size_t kLargePage = size_t{2} << 20;
/// Addresses only: what is not used of it costs nothing.
constexpr size_t kChunkBytes = size_t{64} << 20;

std::unexpected<Error> no_memory(size_t bytes) {
    return fail(Code::OutOfMemory, "no memory for " + std::to_string(bytes) + " bytes");
}

}  // namespace

Expected<std::shared_ptr<std::byte>> map_pages(size_t bytes) {
    const auto room = checked_add(std::max(bytes, size_t{1}), 2 * kLargePage);
    void* data = room ? mmap(nullptr, *room, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                      : MAP_FAILED;
    if (data == MAP_FAILED) return no_memory(bytes);
    const auto at = reinterpret_cast<uintptr_t>(data);
    const size_t before = round_up(at, kLargePage) - at;
    auto* const begin = static_cast<std::byte*>(data) + before;
#ifdef MADV_HUGEPAGE
    madvise(begin, round_up(bytes, kLargePage), MADV_HUGEPAGE);
#endif
    return std::shared_ptr<std::byte>(begin,
                                      [data, size = *room](std::byte*) { munmap(data, size); });
}

bool has_large_pages(const std::string& setting) {
    std::ifstream file(setting);
    std::string chosen;
    return std::getline(file, chosen) && chosen.find("[never]") == std::string::npos;
}

Expected<std::shared_ptr<std::byte>> PageArena::take(size_t bytes) {
    if (!checked_add(bytes, kCacheLineBytes)) return no_memory(bytes);
    const size_t piece = round_up(bytes, kCacheLineBytes);
    if (piece > size_ - used_) {
        const size_t wanted = std::max(piece, kChunkBytes);
        auto chunk = map_pages(wanted);
        if (!chunk) return chunk;
        chunk_ = std::move(*chunk), used_ = 0, size_ = wanted;
    }
    std::shared_ptr<std::byte> taken(chunk_, chunk_.get() + used_);
    used_ += piece;
    return taken;
}

}  // namespace dunlin
