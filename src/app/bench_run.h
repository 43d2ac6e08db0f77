#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/kv_head.h"
#include "runner/runner.h"

namespace dunlin {

/// What a benchmark does, in the words of its options.
struct BenchPlan {
    std::string model;  // path of a GGUF file
    uint32_t prompt = 512, generate = 128, threads = 0, repeat = 5;
    std::vector<uint32_t> streams{1};
    // Tokens that each stream holds before it decodes; 0: none for one stream, the prompt for
    // several.
    std::vector<uint32_t> contexts{0};
    KvType kv_type = KvType::F16;
    // "native"; "llama.cpp" in this process; "llama.cpp-process", as it is served, in its own.
    std::vector<std::string> engines{"native"};
};

enum class BenchKind : uint8_t { Prefill, Decode };

/// One engine in one setting, measured `repeat` times.
struct BenchResult {
    std::string engine;
    std::string setting;  // what was chosen for it: "flash attention on"; may be empty
    BenchKind kind = BenchKind::Prefill;
    uint32_t streams = 1;
    uint32_t context = 0;              // tokens of each stream before it decoded
    std::vector<double> tokens_per_s;  // of all streams together; sorted

    double median() const;
};

/// Told before each run, and what came out at the end of a test; `done` of its `total` runs are
/// over.
using BenchProgress = std::function<void(const std::string& what, uint32_t done, uint32_t total)>;

/// Runs the plan: prefill with one sequence, then decode for each number of streams. Within one
/// test the engines take turns (A B A B ...), and each waits until the other's threads sleep. An
/// engine with several settings runs in all of them; only the one with the best median is returned.
/// Results come test by test, in the order of the plan's engines.
/// Errors: what the engines give where they cannot be made; Invalid for an unknown engine.
Expected<std::vector<BenchResult>> run_bench(const BenchPlan& plan, const BenchProgress& progress);

}  // namespace dunlin
