#include "runner/llamacpp/offload.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "base/checked.h"

namespace dunlin {
namespace {

constexpr uint64_t kLayersMax = 4096;

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

/// A number that a file gives once or for each layer.
uint64_t for_layer(const GgufFile& file, const std::string& key, size_t layer, uint64_t otherwise) {
    if (const auto* each = file.get_ints(key))
        return layer < each->size() && (*each)[layer] >= 0 ? static_cast<uint64_t>((*each)[layer])
                                                           : 0;
    return file.get_uint(key).value_or(otherwise);
}

}  // namespace

LayerBytes layer_bytes(const GgufFile& file, const KvShape& kv) {
    const std::string prefix =
        std::string(file.get_string("general.architecture").value_or("")) + '.';
    const uint64_t layers = file.get_uint(prefix + "block_count").value_or(0);
    if (layers == 0 || layers > kLayersMax) return {};
    LayerBytes bytes(layers + 1, 0);
    const bool tied = file.find("output.weight") == nullptr;
    for (const std::string_view name : file.names()) {
        if (name == "token_embd.weight" && !tied) continue;  // stays with the CPU
        uint64_t& layer = bytes[layer_of(name, layers)];
        layer = add(layer, file.find(name)->data.size());
    }
    const uint64_t hidden = file.get_uint(prefix + "embedding_length").value_or(0);
    const std::string attention = prefix + "attention.";
    for (size_t i = 0; i < layers; ++i) {
        const uint64_t heads =
            std::max<uint64_t>(1, for_layer(file, attention + "head_count", i, 1));
        const uint64_t kv_heads = for_layer(file, attention + "head_count_kv", i, heads);
        const uint64_t k = for_layer(file, attention + "key_length", i, hidden / heads);
        const uint64_t v = for_layer(file, attention + "value_length", i, hidden / heads);
        const uint64_t elements = multiply(multiply(kv_heads, add(k, v)), kv.tokens);
        bytes[i] = add(bytes[i], multiply(elements / kv.block_elements, kv.block_bytes));
    }
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
