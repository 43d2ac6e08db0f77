#pragma once

#include <cstdint>

#include "base/ids.h"

namespace dunlin {

/// Why no more of a prompt was found in the cache.
enum class Reuse : uint8_t { Complete, FirstUse, Diverged, Evicted, OtherDomain, NotSupported };

struct Match {
    uint32_t length = 0;  // tokens of the sequence that now have their state
    Reuse why = Reuse::FirstUse;
    // Where wait_for is set, that sequence is computing more of this prefix right now, up to
    // wait_length tokens: park this one and call match() again later.
    SeqId wait_for = 0;
    uint32_t wait_length = 0;
};

struct Room {
    uint64_t tokens_total = 0;
    uint64_t tokens_free = 0;  // counts what is cached and can be evicted; of slots: the idle ones
    uint64_t tokens_cached = 0;  // of the free ones: hold prefixes that nobody uses now
    uint32_t sequences_free = 0;
    uint32_t granule = 1;  // room is given in pieces of so many tokens
};

/// What becomes of a closed sequence's state.
enum class Keep : uint8_t { Cached, Nothing };

}  // namespace dunlin
