#pragma once

#include <cstdint>

namespace dunlin {

/// The finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014): every input bit reaches every
/// output bit. For hashes and seeds, not for secrets.
constexpr uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

}  // namespace dunlin
