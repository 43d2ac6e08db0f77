#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace dunlin {

/// Where data is read by whole cache lines, or by tiles of them, beginning in the middle of one
/// costs a second line each time.
inline constexpr size_t kCacheLineBytes = 64;

template <class T>
struct LineAllocator {
    using value_type = T;
    LineAllocator() = default;
    template <class U>
    explicit LineAllocator(const LineAllocator<U>&) {}

    T* allocate(size_t count) {
        return static_cast<T*>(
            ::operator new(count * sizeof(T), std::align_val_t(kCacheLineBytes)));
    }
    void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t(kCacheLineBytes)); }
    friend bool operator==(LineAllocator, LineAllocator) { return true; }
};

/// A vector whose first element begins a cache line.
template <class T>
using LineVector = std::vector<T, LineAllocator<T>>;

}  // namespace dunlin
