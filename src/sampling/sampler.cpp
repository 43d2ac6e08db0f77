#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/mix.h"
#include "sampling/steps.h"

namespace dunlin {
namespace {

/// Below it, dividing by the temperature may leave nothing finite.
constexpr float kGreedyBelow = 1e-6F;

TokenId greedy(std::span<const float> logits) {
    return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

double uniform(uint64_t seed, uint64_t index) {
    const uint64_t bits = mix(mix(seed + 0x9e3779b97f4a7c15ULL) + index * 0xd1342543de82ef95ULL);
    return static_cast<double>(bits >> 11) * 0x1p-53;
}

std::optional<Error> invalid(const SamplingParams& p) {
    const auto wrong = [](const char* name, const char* allowed) {
        return Error{Code::Invalid, std::string(name) + " must be " + allowed, name};
    };
    const auto share = [](float x) { return x >= 0 && x <= 1; };
    if (!(std::isfinite(p.temperature) && p.temperature >= 0))
        return wrong("temperature", "0 or more");
    if (p.top_k < 0) return wrong("top_k", "0 or more");
    if (!share(p.top_p)) return wrong("top_p", "0 to 1");
    if (!share(p.min_p)) return wrong("min_p", "0 to 1");
    if (!(std::isfinite(p.repetition_penalty) && p.repetition_penalty > 0))
        return wrong("repetition_penalty", "more than 0");
    if (!std::isfinite(p.presence_penalty)) return wrong("presence_penalty", "a finite number");
    if (!std::isfinite(p.frequency_penalty)) return wrong("frequency_penalty", "a finite number");
    for (const auto& [id, bias] : p.logit_bias)
        if (!std::isfinite(bias)) return wrong("logit_bias", "finite numbers");
    return std::nullopt;
}

Sampler::Sampler(const SamplingParams& params) : params_(params) {
    CHECK(!invalid(params));
}

void Sampler::saw_prompt(std::span<const TokenId> tokens) {
    std::vector<TokenId> unique(tokens.begin(), tokens.end());
    std::sort(unique.begin(), unique.end());
    unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
    seen_.clear();
    for (const TokenId id : unique) seen_.push_back({id, {.in_prompt = true}});
}

TokenId Sampler::choose(std::span<const float> logits) {
    const bool is_greedy = params_.temperature < kGreedyBelow;
    SamplingRow row{params_, seen_, logits, adjusted_, candidates_};
    for (const SamplingStep& step : sampling_steps())
        if (step.stage == SamplingStep::Stage::Logits || !is_greedy) step.run(row);
    if (is_greedy) return greedy(row.logits);
    double total = 0;
    for (const Candidate& c : candidates_) total += c.value;
    double left = uniform(params_.seed.value_or(0), index_) * total;
    for (const Candidate& c : candidates_) {
        left -= c.value;
        if (left < 0) return c.id;
    }
    return candidates_.back().id;
}

void Sampler::count(TokenId token) {
    const auto at =
        std::lower_bound(seen_.begin(), seen_.end(), token,
                         [](const auto& entry, TokenId id) { return entry.first < id; });
    if (at != seen_.end() && at->first == token)
        ++at->second.in_answer;
    else
        seen_.insert(at, {token, {.in_answer = 1}});
}

TokenId Sampler::next(std::span<const float> logits) {
    CHECK(!logits.empty());
    const TokenId token = choose(logits);
    ++index_;
    count(token);
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
