#include "sampling/steps.h"

#include <algorithm>
#include <cmath>

namespace dunlin {
namespace {

/// Calls `change(logit, seen)` for the logits of tokens that have been seen.
template <class Change>
void for_seen(SamplingRow& row, Change&& change) {
    const auto logits = row.edit();
    for (const auto& [id, seen] : row.seen)
        if (id >= 0 && static_cast<size_t>(id) < logits.size())
            change(logits[static_cast<size_t>(id)], seen);
}

void repetition_penalty(SamplingRow& row) {
    const float penalty = row.params.repetition_penalty;
    if (penalty == 1.0F) return;
    for_seen(row, [&](float& logit, const SeenToken&) {
        logit = logit > 0 ? logit / penalty : logit * penalty;
    });
}

void presence_penalty(SamplingRow& row) {
    const float penalty = row.params.presence_penalty;
    if (penalty == 0.0F) return;
    for_seen(row, [&](float& logit, const SeenToken& seen) {
        if (seen.in_answer > 0) logit -= penalty;
    });
}

void frequency_penalty(SamplingRow& row) {
    const float penalty = row.params.frequency_penalty;
    if (penalty == 0.0F) return;
    for_seen(row, [&](float& logit, const SeenToken& seen) {
        if (seen.in_answer > 0) logit -= penalty * static_cast<float>(seen.in_answer);
    });
}

void logit_bias(SamplingRow& row) {
    if (row.params.logit_bias.empty()) return;
    const auto logits = row.edit();
    for (const auto& [id, bias] : row.params.logit_bias)
        if (id >= 0 && static_cast<size_t>(id) < logits.size())
            logits[static_cast<size_t>(id)] += bias;
}

void min_p(SamplingRow& row) {
    // What cannot matter is not even collected: below a billionth no draw can land.
    const float best = *std::max_element(row.logits.begin(), row.logits.end());
    const float floor = std::max(row.params.min_p, 1e-9F);
    const float cut = best + std::log(floor) * row.params.temperature;
    row.candidates.clear();
    for (size_t i = 0; i < row.logits.size(); ++i)
        if (row.logits[i] >= cut)
            row.candidates.push_back({static_cast<TokenId>(i), row.logits[i]});
}

void top_k(SamplingRow& row) {
    const auto k = static_cast<size_t>(row.params.top_k);
    auto& candidates = row.candidates;
    if (k == 0 || k >= candidates.size()) return;
    std::nth_element(candidates.begin(), candidates.begin() + static_cast<long>(k) - 1,
                     candidates.end(), better);
    candidates.resize(k);
}

void temperature(SamplingRow& row) {
    std::sort(row.candidates.begin(), row.candidates.end(), better);
    const float best = row.candidates.front().value;
    const float scale = 1.0F / row.params.temperature;
    for (Candidate& c : row.candidates) c.value = std::exp((c.value - best) * scale);
}

void top_p(SamplingRow& row) {
    if (row.params.top_p >= 1.0F) return;
    double total = 0;
    for (const Candidate& c : row.candidates) total += c.value;
    double sum = 0;
    size_t kept = 0;
    while (kept < row.candidates.size() && sum < double{row.params.top_p} * total)
        sum += row.candidates[kept++].value;
    row.candidates.resize(std::max<size_t>(kept, 1));
}

constexpr SamplingStep kSteps[] = {
#define SAMPLING_STEP(name, stage, effect) {SamplingStep::Stage::stage, name},
#include "sampling/steps.def"
#undef SAMPLING_STEP
};

}  // namespace

std::span<float> SamplingRow::edit() {
    if (logits.data() != adjusted.data()) {
        adjusted.assign(logits.begin(), logits.end());
        logits = adjusted;
    }
    return adjusted;
}

std::span<const SamplingStep> sampling_steps() {
    return kSteps;
}

}  // namespace dunlin
