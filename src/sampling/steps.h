#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sampling/sampler.h"

namespace dunlin {

/// Which of two is likelier; equal values are ordered by the lower id.
inline bool better(const Candidate& a, const Candidate& b) {
    return a.value != b.value ? a.value > b.value : a.id < b.id;
}

/// A row of logits on its way to a token.
struct SamplingRow {
    const SamplingParams& params;
    std::span<const std::pair<TokenId, SeenToken>> seen;  // by id
    std::span<const float> logits;                        // as the steps so far left them
    std::vector<float>& adjusted;                         // where changed logits stand
    std::vector<Candidate>& candidates;

    /// The logits to write to: a copy, made by the first step that changes any.
    std::span<float> edit();
};

struct SamplingStep {
    enum class Stage : uint8_t { Logits, Candidates } stage;
    void (*run)(SamplingRow& row);
};

/// The rows of steps.def.
std::span<const SamplingStep> sampling_steps();

}  // namespace dunlin
