#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/gguf.h"
#include "runner/llamacpp/devices.h"
#include "runner/llamacpp/offload.h"
#include "runner/runner.h"

namespace dunlin {

/// What the settings ask for, in their words.
struct EngineWish {
    std::string engine = "auto";                 // "native", "llama.cpp"
    std::string device = "auto";                 // "cpu", a kind ("cuda") or a name ("cuda0")
    std::optional<uint32_t> device_layers = {};  // nothing: as many as fit
};

/// What the file is.
struct EngineNeeds {
    std::string native_obstacle;         // why the native engine cannot compute it; empty: it can
    std::string llamacpp_obstacle = {};  // the same of llama.cpp
    uint64_t file_bytes = 0;
    LayerBytes layers = {};  // weights alone
};

/// What there is to compute with.
struct EngineStock {
    bool has_llamacpp = false;  // this build has it
    std::vector<LlamaCppDevice> devices = {};
    uint64_t memory_bytes = 0;  // main memory; 0: unknown, and not looked at
};

struct EngineChoice {
    std::string engine;  // "native" or "llama.cpp"
    std::string device;  // "cpu" or the name of one in stock
    std::optional<uint32_t> device_layers;
    std::string why;  // one sentence without a full stop, for logs and clients
};

/// Picks what computes a model. auto takes, in this order: llama.cpp on the GPU with the most free
/// memory, if that holds the model or at least half of it, or main memory does not hold it; the
/// native engine; llama.cpp on the CPU. What only looks like a GPU is taken where it is named.
/// Errors: Unsupported; OutOfMemory where the file is larger than main memory, and what the device
/// does not take of it too. One sentence with what there is and what to do.
Expected<EngineChoice> choose_engine(const EngineWish& wish, const EngineNeeds& needs,
                                     const EngineStock& stock);

struct ChosenRunner {
    std::unique_ptr<Runner> runner;
    EngineChoice choice;
};
/// Chooses and makes. Where making it on a GPU fails, a line goes to the log, and what would have
/// been chosen for the CPU is made. Errors: those of choose_engine() and of `make`.
Expected<ChosenRunner> choose_runner(
    const std::string& model, const EngineWish& wish, const EngineNeeds& needs,
    const EngineStock& stock,
    const std::function<Expected<std::unique_ptr<Runner>>(const EngineChoice&)>& make);

/// Why the native engine cannot compute this file, by its architecture, its numbers and the types
/// of its tensors; empty where it can, as far as a look at the header tells.
std::string native_obstacle(const GgufFile& file);

/// This build and this machine. Looks for devices only where the wish can use one: that starts the
/// drivers.
EngineStock engine_stock(const EngineWish& wish);

/// "11.3 GiB", for sentences.
std::string in_gib(uint64_t bytes);

}  // namespace dunlin
