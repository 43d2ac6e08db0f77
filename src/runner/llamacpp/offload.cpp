#include "runner/llamacpp/offload.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/checked.h"
#include "formats/kv_elements.h"

namespace dunlin {
namespace {

/// Sums that would overflow mean more than any device has.
uint64_t add(uint64_t a, uint64_t b) {
    return checked_add(a, b).value_or(UINT64_MAX);
}
uint64_t multiply(uint64_t a, uint64_t b) {
    return checked_mul(a, b).value_or(UINT64_MAX);
}

/// The layer that a tensor named "blk.7.attn_q.weight" belongs to; `layers` for what belongs to
/// none of so many.
uint64_t layer_of(std::string_view name, uint64_t layers) {
    if (!name.starts_with("blk.")) return layers;
    uint64_t layer = layers;
    const std::string_view digits = name.substr(4);
    std::from_chars(digits.data(), digits.data() + digits.size(), layer);
    return std::min(layer, layers);
}

}  // namespace

LayerBytes layer_bytes(const GgufFile& file, const KvTokens& kv) {
    const std::vector<uint64_t> elements = kv_elements(file);
    if (elements.empty()) return {};
    const uint64_t layers = elements.size();
    LayerBytes bytes(layers + 1, 0);
    const bool tied = file.find("output.weight") == nullptr;
    for (const std::string_view name : file.names()) {
        if (name == "token_embd.weight" && !tied) continue;  // stays with the CPU
        uint64_t& layer = bytes[layer_of(name, layers)];
        layer = add(layer, file.find(name)->data.size());
    }
    for (size_t i = 0; i < layers; ++i)
        bytes[i] = add(bytes[i], multiply(multiply(elements[i], kv.tokens) / kv.block_elements,
                                          kv.block_bytes));
    return bytes;
}

uint32_t layers_that_fit(const LayerBytes& layers, uint64_t free_bytes, uint64_t scratch_bytes) {
    const uint64_t kept = add(kOffloadMarginBytes, scratch_bytes);
    uint64_t room = free_bytes - std::min(free_bytes, kept);
    uint32_t fitting = 0;
    for (auto layer = layers.rbegin(); layer != layers.rend() && *layer <= room; ++layer) {
        room -= *layer;
        ++fitting;
    }
    return fitting;
}

}  // namespace dunlin
