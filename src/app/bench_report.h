#pragma once

#include <span>
#include <string>

#include "app/bench_machine.h"
#include "app/bench_run.h"

namespace dunlin {

/// What one token costs a model: its matrices, and the keys and values of each token before.
struct ModelCost {
    uint64_t layer_macs = 0, head_macs = 0;    // multiply-adds a token
    uint64_t layer_bytes = 0, head_bytes = 0;  // of weights, as they lie in the file
    uint64_t kv_bytes = 0;                     // a token of context, as the native engine keeps it
};

/// From a file's tensors. Errors: what GgufFile::open gives.
Expected<ModelCost> model_cost(const std::string& path, KvType kv_type);

/// {"results":[...],"ratios":[...],"machine":{...}}, on one line.
std::string bench_json(const BenchPlan& plan, std::span<const BenchResult> results,
                       const ModelCost& cost, const Machine& machine);

/// The same for people.
std::string bench_table(const BenchPlan& plan, std::span<const BenchResult> results,
                        const ModelCost& cost, const Machine& machine);

}  // namespace dunlin
