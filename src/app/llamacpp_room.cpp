#include "app/llamacpp_room.h"

#include <algorithm>
#include <string>

namespace dunlin {
namespace {

constexpr uint64_t kContextUsual = 8192;
constexpr uint64_t kSequencesUsual = 8;
constexpr uint64_t kSequencesMost = 256;  // LLAMA_MAX_SEQ
// What a file may claim without an overflow below.
constexpr uint64_t kLayersMax = 4096, kHeadsMax = 65536, kHeadSizeMax = 65536;

/// Heads of keys, of all layers together: one number, or one for each layer.
uint64_t kv_heads(const GgufFile& file, const std::string& prefix, uint64_t layers,
                  uint64_t heads) {
    const std::string key = prefix + "attention.head_count_kv";
    if (const auto* each = file.get_ints(key)) {
        uint64_t sum = 0;
        for (size_t i = 0; i < std::min<size_t>(each->size(), kLayersMax); ++i)
            sum += static_cast<uint64_t>(std::clamp<int64_t>((*each)[i], 0, kHeadsMax));
        return sum;
    }
    return layers * std::min(file.get_uint(key).value_or(heads), kHeadsMax);
}

}  // namespace

KvShape kv_shape(const GgufFile& file) {
    const std::string prefix =
        std::string(file.get_string("general.architecture").value_or("")) + ".";
    const auto number = [&](const char* name, uint64_t otherwise, uint64_t most) {
        return std::min(file.get_uint(prefix + name).value_or(otherwise), most);
    };
    const uint64_t layers = number("block_count", 0, kLayersMax);
    const uint64_t heads = number("attention.head_count", 0, kHeadsMax);
    const uint64_t head =
        heads == 0 ? 0 : number("embedding_length", 0, UINT32_MAX) / std::max<uint64_t>(heads, 1);
    const uint64_t key = number("attention.key_length", head, kHeadSizeMax);
    const uint64_t value = number("attention.value_length", head, kHeadSizeMax);
    return {.context_tokens = static_cast<uint32_t>(number("context_length", 0, UINT32_MAX)),
            .token_bytes = kv_heads(file, prefix, layers, heads) * (key + value) * 2};
}

void set_llamacpp_room(const NativeSettings& wanted, const KvShape& shape, uint64_t memory_bytes,
                       LlamaCppSettings& out) {
    uint64_t context = wanted.context_tokens_max;
    if (context == 0)
        context = shape.context_tokens == 0
                      ? kContextUsual
                      : std::min<uint64_t>(shape.context_tokens, kContextUsual);
    uint64_t sequences = kSequencesUsual;
    if (wanted.kv_tokens > 0) {
        context = std::min(context, wanted.kv_tokens);
        sequences = wanted.kv_tokens / context;
    } else if (memory_bytes > 0) {
        uint64_t token_bytes = shape.token_bytes;
        if (out.kv_type == KvType::Q8_0) token_bytes = token_bytes / 64 * 34;  // 32 codes, a scale
        const uint64_t tokens = memory_bytes / 4 / std::max<uint64_t>(token_bytes, 1);
        sequences = std::min(sequences, tokens / context);
    }
    sequences = std::min({sequences, uint64_t{wanted.sequences_max}, kSequencesMost});
    out.context_tokens_max = static_cast<uint32_t>(context);
    out.sequences_max = static_cast<uint32_t>(std::max<uint64_t>(sequences, 1));
}

}  // namespace dunlin
