#pragma once

// What a Runner would choose along a given text, for tests that hold engines beside each other.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "runner/runner.h"

namespace dunlin {

/// A difference at a lead above this is more than the rounding of weights and sums in another
/// order.
inline constexpr float kSlightLead = 0.05F;

/// Calls each(position, logits) for every token.
template <class Each>
void compute(Runner& runner, std::span<const TokenId> tokens, Each&& each) {
    const auto seq = runner.open({{1, 1}, {}, static_cast<uint32_t>(tokens.size())});
    ASSERT_TRUE(seq) << seq.error().message;
    while (!tokens.empty()) {
        const auto count = static_cast<uint32_t>(
            std::min<size_t>(tokens.size(), runner.capabilities().step_outputs_max));
        ASSERT_TRUE(runner.reserve(*seq, count));
        const Span span{*seq, tokens.first(count), count};
        const auto step = runner.launch({{&span, 1}});
        ASSERT_TRUE(step) << step.error().message;
        const auto done = runner.collect(*step);
        ASSERT_TRUE(done) << done.error().message;
        for (const Output& output : done->outputs) each(output.position, output.logits);
        tokens = tokens.subspan(count);
    }
    runner.close(*seq, Keep::Nothing);
}

struct Choice {
    TokenId token = 0;
    float lead = 0;  // over the second
};

inline Choice choice(std::span<const float> logits) {
    const auto best = std::max_element(logits.begin(), logits.end());
    float second = -INFINITY;
    for (auto it = logits.begin(); it != logits.end(); ++it)
        if (it != best) second = std::max(second, *it);
    return {static_cast<TokenId>(best - logits.begin()), *best - second};
}

/// The choices behind the tokens from - 1 onwards: those that give or confirm token `from` and its
/// followers, and one more behind the last.
inline std::vector<Choice> choices(Runner& runner, std::span<const TokenId> tokens, size_t from) {
    std::vector<Choice> out;
    compute(runner, tokens, [&](uint32_t at, std::span<const float> logits) {
        if (at + 1 >= from) out.push_back(choice(logits));
    });
    return out;
}

/// Appends what the runner itself chooses, token by token.
inline void continue_greedily(Runner& runner, std::vector<TokenId>& text, uint32_t count) {
    const auto seq = runner.open({{1, 1}, {}, static_cast<uint32_t>(text.size()) + count});
    ASSERT_TRUE(seq) << seq.error().message;
    for (const size_t end = text.size() + count; text.size() < end;) {
        auto rest = std::span<const TokenId>(text).subspan(runner.length(*seq));
        const bool last = rest.size() <= runner.capabilities().step_tokens_max;
        if (!last) rest = rest.first(runner.capabilities().step_tokens_max);
        ASSERT_TRUE(runner.reserve(*seq, static_cast<uint32_t>(rest.size())));
        const Span span{*seq, rest, last ? 1U : 0U};
        const auto step = runner.launch({{&span, 1}});
        ASSERT_TRUE(step) << step.error().message;
        const auto done = runner.collect(*step);
        ASSERT_TRUE(done) << done.error().message;
        if (last) text.push_back(choice(done->outputs[0].logits).token);
    }
    runner.close(*seq, Keep::Nothing);
}

/// How often an engine chose otherwise than it should have, and by how much at most.
struct Differences {
    size_t all = 0, more_than_slight = 0;
    float largest_lead = 0;

    void add(float lead) {
        ++all;
        more_than_slight += lead > kSlightLead ? 1 : 0;
        largest_lead = std::max(largest_lead, lead);
    }
    void print(const char* who, size_t rows) const {
        std::printf("%-28s %zu of %zu tokens differ, %zu with a lead above %.2f, at most %.3f\n",
                    who, all, rows, more_than_slight, static_cast<double>(kSlightLead),
                    static_cast<double>(largest_lead));
    }
};

}  // namespace dunlin
