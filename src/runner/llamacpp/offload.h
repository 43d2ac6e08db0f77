#pragma once

#include <cstdint>
#include <vector>

#include "formats/gguf.h"

namespace dunlin {

/// How many layers of a model fit onto a device that has not room for all of it.
///
/// Layers are counted as llama.cpp counts them: the repeating ones, and one more at the end for the
/// output. The last go to the device first, so that one layer there is the output alone.

/// Bytes of each layer, weights and KV, in file order, the output last.
using LayerBytes = std::vector<uint64_t>;

/// What a device must keep free of layers: the buffers of a step beside those of the output, the
/// driver's own, and what the desktop takes a moment later.
inline constexpr uint64_t kOffloadMarginBytes = uint64_t{512} << 20;

struct KvTokens {
    uint64_t tokens = 0;  // of all sequences together
    // Bytes of so many elements: {1, 2} for 16 bits, {32, 34} for Q8_0.
    uint32_t block_elements = 1, block_bytes = 2;
};

/// From the sizes of the file's tensors and its attention.* keys. A head that is the embedding
/// counts again, because the device gets a copy; layers without attention are charged as if they
/// had it. Empty for a file that does not tell how many layers it has.
LayerBytes layer_bytes(const GgufFile& file, const KvTokens& kv);

/// The largest count of last layers that fit into `free_bytes` beside the margin and
/// `scratch_bytes`; layers.size() if all do.
uint32_t layers_that_fit(const LayerBytes& layers, uint64_t free_bytes, uint64_t scratch_bytes);

}  // namespace dunlin
