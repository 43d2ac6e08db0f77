#include "formats/kv_elements.h"

#include <algorithm>
#include <string>

#include "base/checked.h"

namespace dunlin {
namespace {

constexpr uint64_t kLayersMax = 4096;

/// A number that a file gives once or for each layer.
uint64_t for_layer(const GgufFile& file, const std::string& key, size_t layer, uint64_t otherwise) {
    if (const auto* each = file.get_ints(key))
        return layer < each->size() && (*each)[layer] >= 0 ? static_cast<uint64_t>((*each)[layer])
                                                           : 0;
    return file.get_uint(key).value_or(otherwise);
}

}  // namespace

std::vector<uint64_t> kv_elements(const GgufFile& file) {
    const std::string prefix =
        std::string(file.get_string("general.architecture").value_or("")) + '.';
    const uint64_t layers = file.get_uint(prefix + "block_count").value_or(0);
    if (layers == 0 || layers > kLayersMax) return {};
    const uint64_t hidden = file.get_uint(prefix + "embedding_length").value_or(0);
    const std::string attention = prefix + "attention.";
    std::vector<uint64_t> out(layers);
    for (size_t i = 0; i < layers; ++i) {
        const uint64_t heads =
            std::max<uint64_t>(1, for_layer(file, attention + "head_count", i, 1));
        const uint64_t kv_heads = for_layer(file, attention + "head_count_kv", i, heads);
        const uint64_t k = for_layer(file, attention + "key_length", i, hidden / heads);
        const uint64_t v = for_layer(file, attention + "value_length", i, hidden / heads);
        out[i] = checked_mul(kv_heads, checked_add(k, v).value_or(UINT64_MAX)).value_or(UINT64_MAX);
    }
    return out;
}

}  // namespace dunlin
