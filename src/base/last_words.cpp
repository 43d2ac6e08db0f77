#include "base/last_words.h"

#include <atomic>

namespace dunlin {
namespace {

std::atomic<char*> memory_begin{nullptr};
std::atomic<size_t> memory_size{0};

}  // namespace

void keep_last_words(std::span<char> memory) {
    memory_size.store(memory.size(), std::memory_order_relaxed);
    memory_begin.store(memory.data(), std::memory_order_release);
}

void say_last_words(std::string_view words) noexcept {
    char* const begin = memory_begin.exchange(nullptr, std::memory_order_acquire);
    const size_t size = memory_size.load(std::memory_order_relaxed);
    if (begin == nullptr || size == 0) return;
    begin[words.copy(begin, size - 1)] = '\0';
}

}  // namespace dunlin
