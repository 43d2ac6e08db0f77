#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"
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

/// What a sequence asks for when it opens, and what there is.
struct Opening {
    uint64_t prompt_tokens = 0, tokens_max = 0;  // asked for
    uint64_t tokens_most = 0;                    // the longest sequence that can ever fit
    uint32_t open = 0, sequences_max = 0;
};
/// TooLong where it can never fit, NoRoom where it cannot now, nothing where it may open.
std::optional<Error> refuse_opening(const Opening& opening);

/// What becomes of a closed sequence's state.
enum class Keep : uint8_t { Cached, Nothing };

}  // namespace dunlin
