#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "kernels/kv_head.h"
#include "runner/runner.h"

namespace dunlin {

enum class FlashAttention : uint8_t { Auto, Off, On };

struct LlamaCppSettings {
    uint32_t threads = 0;  // 0: one a core
    uint32_t sequences_max = 8;
    uint32_t step_tokens_max = 512;
    uint32_t step_outputs_max = 0;  // 0: sequences_max
    // The longest sequence; memory for sequences_max of them is taken at once. 0: as long as the
    // model was made for, but at most 8,192.
    uint32_t context_tokens_max = 0;
    FlashAttention flash_attention = FlashAttention::Auto;
    KvType kv_type = KvType::F16;  // Int8 (its Q8_0) halves the memory; needs flash attention
    std::string device = "cpu";    // or a name that llamacpp_devices() gives
    // Layers that the device computes, counted from the end, the output as the first of them; the
    // CPU computes the others. Nothing: as many as fit into what the device has free (offload.h).
    std::optional<uint32_t> device_layers = {};
};

/// llama.cpp: each sequence has a slot of its own. What it cannot promise it declares: rows depend
/// on their companions, and nothing is shared between open sequences; a recurrent state cannot be
/// rolled back. On a device cancel() has no effect until the step ends, and progress() does not
/// grow within it. The library ends the process on its own assertions; every check that can be made
/// before a call is made here.
///
/// The file is first read by our own reader, because the library does not survive every bad one.
/// The library maps it and computes from the map: launch() fails with Corrupt once the file has
/// changed, and where it is cut short in the middle of a step, SIGBUS ends the process. The model
/// has computed a step when it is handed over. Errors: what GgufFile::open gives; Invalid (settings
/// that cannot be, an unknown device); Unsupported (with the library's own reason, or that this
/// build is without it); OutOfMemory; DeviceLost (the device fails at the first step).
Expected<std::unique_ptr<Runner>> make_llamacpp_runner(const std::string& path,
                                                       const LlamaCppSettings& settings);

}  // namespace dunlin
