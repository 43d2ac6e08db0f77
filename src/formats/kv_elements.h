#pragma once

#include <cstdint>
#include <vector>

#include "formats/gguf.h"

namespace dunlin {

/// How many numbers each layer of a model keeps for one token, keys and values together, by the
/// file's attention.* keys; a layer without attention counts as if it had it. Sums that would
/// overflow are UINT64_MAX. Empty where the file does not tell how many layers it has, or more than
/// 4,096.
std::vector<uint64_t> kv_elements(const GgufFile& file);

}  // namespace dunlin
