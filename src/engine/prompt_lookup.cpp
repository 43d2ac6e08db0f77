#include "engine/prompt_lookup.h"

#include <algorithm>

#include "base/mix.h"

namespace dunlin {
namespace {

constexpr uint32_t kProbes = 16;  // then a run takes another's slot, so that nothing is ever slow
constexpr uint32_t kSlotsFirst = 256;

/// The run of tokens that ends before `end`.
std::span<const TokenId> run_at(std::span<const TokenId> tokens, uint32_t end) {
    return tokens.subspan(end - PromptLookup::kRun, PromptLookup::kRun);
}

/// How many tokens before the one place agree with those before the other.
uint32_t agreement(std::span<const TokenId> tokens, uint32_t earlier, uint32_t later) {
    const uint32_t most = std::min(earlier, PromptLookup::kAgree);
    uint32_t same = 0;
    while (same < most && tokens[earlier - 1 - same] == tokens[later - 1 - same]) ++same;
    return same;
}

}  // namespace

/// Where the run that ends there has its latest place: its own slot, else one to take.
uint32_t* PromptLookup::slot(std::span<const TokenId> tokens, uint32_t end) {
    const auto run = run_at(tokens, end);
    uint64_t hash = 0;
    for (const TokenId token : run) hash = mix(hash + static_cast<uint32_t>(token));
    for (uint32_t probe = 0;; ++probe) {
        uint32_t& held = latest_[(hash + probe) % latest_.size()];
        if (held == 0 || probe + 1 == kProbes) return &held;
        if (std::ranges::equal(run_at(tokens, held), run)) return &held;
    }
}

/// All runs but the last, which is what guess() looks for.
void PromptLookup::index(std::span<const TokenId> tokens) {
    if (latest_.size() < 2 * tokens.size()) {
        size_t slots = kSlotsFirst;
        while (slots < 2 * tokens.size()) slots *= 2;
        latest_.assign(slots, 0);
        earlier_.assign(kRun, 0);
    }
    for (auto end = static_cast<uint32_t>(earlier_.size()); end < tokens.size(); ++end) {
        uint32_t& latest = *slot(tokens, end);
        earlier_.push_back(latest);
        latest = end;
    }
}

void PromptLookup::guess(std::span<const TokenId> tokens, uint32_t count,
                         std::vector<TokenId>& out) {
    if (tokens.size() <= kRun) return;
    index(tokens);
    const auto size = static_cast<uint32_t>(tokens.size());
    uint32_t best = 0, best_agreement = kRun - 1;
    uint32_t place = *slot(tokens, size);
    for (uint32_t i = 0; place != 0 && i < kPlaces; ++i, place = earlier_[place]) {
        const uint32_t agree = agreement(tokens, place, size);
        if (agree <= best_agreement) continue;
        best = place;
        best_agreement = agree;
    }
    if (best == 0) return;
    const size_t begin = out.size();
    for (uint32_t i = 0; i < count; ++i)
        out.push_back(best + i < size ? tokens[best + i] : out[begin + best + i - size]);
}

}  // namespace dunlin
