#pragma once

#include <cstdint>
#include <memory>

#include "base/error.h"
#include "formats/model_config.h"
#include "formats/weight_source.h"
#include "kernels/kv_head.h"
#include "runner/runner.h"

namespace dunlin {

struct NativeSettings {
    uint32_t threads = 0;  // 0: one a core
    // Room for the keys and values of all sequences together; 0: four contexts, or what a quarter
    // of the machine's memory holds if that is less.
    uint64_t kv_tokens = 0;
    KvType kv_type = KvType::F16;  // Int8 takes half the memory
    uint32_t sequences_max = 64;
    uint32_t step_tokens_max = 512;
    uint32_t context_tokens_max = 0;  // 0: as long as the model was made for
};

/// Our own engine on the CPU: packs the weights, keeps KV in blocks, computes on `threads` threads.
/// The source is only read here. Errors: what load_model gives; OutOfMemory.
Expected<std::unique_ptr<Runner>> make_native_runner(const ModelConfig& config,
                                                     const WeightSource& weights,
                                                     const NativeSettings& settings);

}  // namespace dunlin
