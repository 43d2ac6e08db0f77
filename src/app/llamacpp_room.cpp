#include "app/llamacpp_room.h"

#include <algorithm>
#include <string>

#include "base/checked.h"
#include "formats/kv_elements.h"

namespace dunlin {
namespace {

constexpr uint64_t kContextUsual = 8192;
constexpr uint64_t kSequencesUsual = 8;
constexpr uint64_t kSequencesMost = 256;  // LLAMA_MAX_SEQ

/// Whether the model has attention in any layer, as far as the file tells.
bool has_heads(const GgufFile& file, const std::string& key) {
    return file.get_ints(key) != nullptr || file.get_uint(key).value_or(0) > 0;
}

}  // namespace

KvShape kv_shape(const GgufFile& file) {
    const std::string prefix =
        std::string(file.get_string("general.architecture").value_or("")) + ".";
    KvShape out;
    out.context_tokens = static_cast<uint32_t>(
        std::min<uint64_t>(UINT32_MAX, file.get_uint(prefix + "context_length").value_or(0)));
    if (!has_heads(file, prefix + "attention.head_count")) return out;
    for (const uint64_t elements : kv_elements(file))
        out.token_bytes =
            checked_add(out.token_bytes, checked_mul(elements, uint64_t{2}).value_or(UINT64_MAX))
                .value_or(UINT64_MAX);
    return out;
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
        if (out.kv_type == KvType::Int8) token_bytes = token_bytes / 64 * 34;  // 32 codes, a scale
        const uint64_t tokens = memory_bytes / 4 / std::max<uint64_t>(token_bytes, 1);
        sequences = std::min(sequences, tokens / context);
    }
    sequences = std::min({sequences, uint64_t{wanted.sequences_max}, kSequencesMost});
    out.context_tokens_max = static_cast<uint32_t>(context);
    out.sequences_max = static_cast<uint32_t>(std::max<uint64_t>(sequences, 1));
}

}  // namespace dunlin
