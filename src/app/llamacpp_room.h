#pragma once

#include <cstdint>

#include "formats/gguf.h"
#include "runner/llamacpp/llamacpp_runner.h"
#include "runner/native/native_runner.h"

namespace dunlin {

/// What llama.cpp will keep for one sequence of a model.
struct KvShape {
    uint32_t context_tokens = 0;  // that the model was made for; 0: the file does not say
    uint64_t token_bytes = 0;  // keys and values of one token in 16 bits; 0: unknown, or it keeps
                               // no such
};
KvShape kv_shape(const GgufFile& file);

/// How many sequences of which length llama.cpp has room for: it takes the memory of all at once,
/// where the native engine takes blocks as they fill. With kv_tokens: as many contexts as these
/// hold. Without: up to 8, in a quarter of `memory_bytes` (0: unknown); one at least. Never above
/// what [models] says or what the library can (256). Fills sequences_max and context_tokens_max.
void set_llamacpp_room(const NativeSettings& wanted, const KvShape& shape, uint64_t memory_bytes,
                       LlamaCppSettings& out);

}  // namespace dunlin
