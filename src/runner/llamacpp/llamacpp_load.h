#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "formats/gguf.h"
#include "runner/llamacpp/llamacpp_runner.h"
#include "runner/runner.h"

struct llama_model;
struct llama_context;
struct ggml_threadpool;

namespace dunlin {

struct FreeLlamaCpp {
    void operator()(llama_model* model) const;
    void operator()(llama_context* context) const;
    void operator()(ggml_threadpool* threads) const;
};

/// Set from any thread, read by the library between the operations of a step on the CPU.
struct Signals {
    bool whole_calls = false;  // a call of the library is not broken off: its state would be lost
    std::atomic<bool> cancelled{false};
    std::atomic<uint64_t> progress{0};
};

/// A model that has computed a step. The order of the members is the order in which the library
/// wants them made, and the reverse of the one in which it wants them freed.
struct LlamaCppModel {
    std::unique_ptr<GgufFile> file;  // of which the library has mapped its weights
    std::unique_ptr<Signals> signals;
    std::unique_ptr<llama_model, FreeLlamaCpp> model;
    std::unique_ptr<ggml_threadpool, FreeLlamaCpp> threads;
    std::unique_ptr<llama_context, FreeLlamaCpp> context;
    Capabilities capabilities;
    MemoryReport memory;  // of an empty cache
};

/// What make_llamacpp_runner() promises, up to the Runner around it.
Expected<LlamaCppModel> load_llamacpp(const std::string& path, const LlamaCppSettings& settings);

}  // namespace dunlin
