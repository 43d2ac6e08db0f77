#pragma once

#include <cstdint>

namespace dunlin {

using TokenId = int32_t;  // index into a model's vocabulary
using SeqId = uint32_t;   // a sequence open in a Runner; never 0
using StepId = uint64_t;  // one launch() of a Runner

/// 128 bits that stand for something (a tenant, a chain of tokens) without showing it.
struct Digest {
    uint64_t hi = 0, lo = 0;
    bool operator==(const Digest&) const = default;
};

}  // namespace dunlin
