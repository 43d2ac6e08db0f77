#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/mix.h"

namespace dunlin {
namespace {

bool better(const Candidate& a, const Candidate& b) {
    return a.value != b.value ? a.value > b.value : a.id < b.id;
}

TokenId greedy(std::span<const float> logits) {
    return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

double uniform(uint64_t seed, uint64_t index) {
    const uint64_t bits = mix(mix(seed + 0x9e3779b97f4a7c15ULL) + index * 0xd1342543de82ef95ULL);
    return static_cast<double>(bits >> 11) * 0x1p-53;
}

void Sampler::saw_prompt(std::span<const TokenId> tokens) {
    std::vector<TokenId> unique(tokens.begin(), tokens.end());
    std::sort(unique.begin(), unique.end());
    unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
    seen_.clear();
    for (const TokenId id : unique) seen_.push_back({id, {.in_prompt = true}});
}

void Sampler::penalize(std::vector<float>& logits) const {
    const auto inside = [&](TokenId id) {
        return id >= 0 && static_cast<size_t>(id) < logits.size();
    };
    for (const auto& [id, seen] : seen_) {
        if (!inside(id)) continue;
        float& logit = logits[static_cast<size_t>(id)];
        logit = logit > 0 ? logit / params_.repetition_penalty : logit * params_.repetition_penalty;
        if (seen.in_answer == 0) continue;
        logit -= params_.presence_penalty;
        logit -= params_.frequency_penalty * static_cast<float>(seen.in_answer);
    }
    for (const auto& [id, bias] : params_.logit_bias)
        if (inside(id)) logits[static_cast<size_t>(id)] += bias;
}

/// Leaves in candidates_ what top_k, top_p and min_p allow, best first, with their probabilities
/// (not summing to one once some are cut).
void Sampler::choose_candidates(std::span<const float> logits) {
    const float best = *std::max_element(logits.begin(), logits.end());
    // Probabilities relative to the best token's; what cannot matter is not even collected.
    const float scale = 1.0F / params_.temperature;
    const float floor = std::clamp(params_.min_p, 1e-9F, 1.0F);
    const float cut = best + std::log(floor) * params_.temperature;
    candidates_.clear();
    for (size_t i = 0; i < logits.size(); ++i)
        if (logits[i] >= cut) candidates_.push_back({static_cast<TokenId>(i), logits[i]});

    const auto k = static_cast<size_t>(std::max(params_.top_k, 0));
    if (k > 0 && k < candidates_.size()) {
        std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<long>(k) - 1,
                         candidates_.end(), better);
        candidates_.resize(k);
    }
    std::sort(candidates_.begin(), candidates_.end(), better);
    double total = 0;
    for (Candidate& c : candidates_) total += c.value = std::exp((c.value - best) * scale);
    if (params_.top_p < 1.0F) {
        double sum = 0;
        size_t kept = 0;
        while (kept < candidates_.size() && sum < double{params_.top_p} * total)
            sum += candidates_[kept++].value;
        candidates_.resize(std::max<size_t>(kept, 1));
    }
}

TokenId Sampler::next(std::span<const float> logits) {
    CHECK(!logits.empty());
    const bool adjusts = !params_.logit_bias.empty() || params_.repetition_penalty != 1.0F ||
                         params_.presence_penalty != 0.0F || params_.frequency_penalty != 0.0F;
    if (adjusts) {
        adjusted_.assign(logits.begin(), logits.end());
        penalize(adjusted_);
        logits = adjusted_;
    }
    TokenId token = 0;
    if (params_.temperature <= 0.0F) {
        token = greedy(logits);
    } else {
        choose_candidates(logits);
        double total = 0;
        for (const Candidate& c : candidates_) total += c.value;
        double left = uniform(params_.seed.value_or(0), index_) * total;
        token = candidates_.back().id;
        for (const Candidate& c : candidates_) {
            left -= c.value;
            if (left < 0) {
                token = c.id;
                break;
            }
        }
    }
    ++index_;
    const auto at =
        std::lower_bound(seen_.begin(), seen_.end(), token,
                         [](const auto& entry, TokenId id) { return entry.first < id; });
    if (at != seen_.end() && at->first == token)
        ++at->second.in_answer;
    else
        seen_.insert(at, {token, {.in_answer = 1}});
    return token;
}

Logprobs logprobs_of(std::span<const float> logits, TokenId token, uint32_t top) {
    const float best = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit - best));
    const double norm = static_cast<double>(best) + std::log(sum);
    const auto logprob = [&](float logit) { return static_cast<float>(double{logit} - norm); };

    Logprobs out{.token = logprob(logits[static_cast<size_t>(token)]), .top = {}};
    const size_t count = std::min<size_t>(top, logits.size());
    for (size_t i = 0; count > 0 && i < logits.size(); ++i) {
        const Candidate c{static_cast<TokenId>(i), logits[i]};
        if (out.top.size() == count && !better(c, out.top.back())) continue;
        out.top.insert(std::upper_bound(out.top.begin(), out.top.end(), c, better), c);
        if (out.top.size() > count) out.top.pop_back();
    }
    for (Candidate& c : out.top) c.value = logprob(c.value);
    return out;
}

}  // namespace dunlin
