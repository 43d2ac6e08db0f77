#include "engine/prompt_lookup.h"

#include <algorithm>
#include <random>

#include "gtest/gtest.h"

namespace dunlin {
namespace {

/// The same by looking everywhere.
std::vector<TokenId> slow_guess(const std::vector<TokenId>& tokens, uint32_t count) {
    const size_t size = tokens.size();
    size_t best = 0, best_agreement = PromptLookup::kRun - 1, places = 0;
    for (size_t end = size; end-- > PromptLookup::kRun && places < PromptLookup::kPlaces;) {
        size_t agree = 0;
        while (agree < std::min<size_t>(end, PromptLookup::kAgree) &&
               tokens[end - 1 - agree] == tokens[size - 1 - agree])
            ++agree;
        places += agree >= PromptLookup::kRun ? 1 : 0;
        if (agree > best_agreement) best = end, best_agreement = agree;
    }
    std::vector<TokenId> out;
    if (best == 0) return out;
    std::vector<TokenId> longer = tokens;
    for (; out.size() < count; ++best) {
        longer.push_back(longer[best]);
        out.push_back(longer[best]);
    }
    return out;
}

TEST(PromptLookup, FindsWhatLookingEverywhereFinds) {
    size_t guessed = 0;
    for (uint32_t seed = 0; seed < 300; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
        const uint32_t vocabulary = 1 + below(6);
        PromptLookup lookup;
        std::vector<TokenId> tokens;
        while (tokens.size() < 600) {
            for (uint32_t n = 1 + below(9); n > 0; --n)
                tokens.push_back(static_cast<TokenId>(below(vocabulary)));
            if (tokens.size() > 50 && below(3) == 0)  // a quotation
                for (size_t at = below(40), n = below(40); n > 0; --n)
                    tokens.push_back(TokenId{tokens[at++]});
            const uint32_t count = below(12);
            std::vector<TokenId> found{-7};
            lookup.guess(tokens, count, found);
            EXPECT_EQ(found.front(), -7);
            found.erase(found.begin());
            guessed += found.size();
            ASSERT_EQ(found, slow_guess(tokens, count))
                << "seed " << seed << " at " << tokens.size();
        }
    }
    EXPECT_GT(guessed, 50'000U);
}

TEST(PromptLookup, GuessesNothingWhereNothingRepeats) {
    PromptLookup lookup;
    std::vector<TokenId> tokens, out;
    for (TokenId token = 0; token < 5000; ++token) {
        lookup.guess(tokens, 8, out);
        tokens.push_back(token);
    }
    EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace dunlin
