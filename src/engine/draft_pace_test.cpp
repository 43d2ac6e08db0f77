#include "engine/draft_pace.h"

#include <random>

#include "gtest/gtest.h"

namespace dunlin {
namespace {

TEST(DraftPace, IsThePriceThatWasMeasured) {
    DraftPace pace;
    EXPECT_FALSE(pace.price(1));  // a step without comes first
    pace.note(1, 0, 10'000);
    for (int i = 0; i < 20; ++i) pace.note(1, 4, 18'000);
    EXPECT_NEAR(*pace.price(1), 0.2, 0.001);
    EXPECT_FALSE(pace.price(3));
    pace.note(3, 0, 10'000);
    pace.note(3, 2, 14'000);
    EXPECT_NEAR(*pace.price(3), 0.6, 0.001);  // a token of three is a third of a step
    EXPECT_FALSE(pace.price(DraftPace::kRowsMax));
}

TEST(DraftPace, ComparesNowAndThen) {
    DraftPace pace;
    pace.note(2, 0, 1000);
    uint32_t steps = 0;
    for (; pace.price(2); ++steps) pace.note(2, 3, 1500);
    EXPECT_EQ(steps, 64U);
    pace.note(2, 0, 1000);
    EXPECT_TRUE(pace.price(2));
}

TEST(DraftPace, AnInterruptedStepEndsNothing) {
    DraftPace pace;
    pace.note(1, 0, 1000);
    pace.note(1, 8, 1800);
    pace.note(1, 8, 1'000'000);
    EXPECT_LT(*pace.price(1), 0.5);
}

/// What `steps` steps with guesses right at this rate take, in steps without.
struct Spent {
    double time = 0, tokens = 0;
};
Spent spend(double rate, double price, uint32_t steps) {
    std::mt19937 random(5);
    std::uniform_real_distribution<double> draw(0, 1);
    DraftBalance balance;
    Spent spent;
    for (uint32_t i = 0; i < steps; ++i) {
        const uint32_t drafted = std::min(8U, balance.affordable(price));
        uint32_t accepted = 0;
        while (accepted < drafted && draw(random) < rate) ++accepted;
        balance.settle(drafted, accepted);
        spent.time += 1 + price * drafted;
        spent.tokens += 1 + accepted;
    }
    return spent;
}

TEST(DraftBalance, LosesLittleWhereGuessesAreWrong) {
    for (const double price : {0.05, 0.15, 0.4, 0.9}) {
        EXPECT_LT(spend(0, price, 60).time, 60 * 1.03) << price;
        EXPECT_LT(spend(0, price, 1000).time, 1000 * 1.022) << price;
        EXPECT_GT(spend(0, price, 1000).time, 1000 * 1.005) << "never tries again at " << price;
    }
}

TEST(DraftBalance, GainsMuchWhereTheyAreRight) {
    const auto ratio = [](double rate, double price) {
        const Spent spent = spend(rate, price, 400);
        return spent.tokens / spent.time;
    };
    EXPECT_GT(ratio(0.97, 0.15), 2.5);
    EXPECT_GT(ratio(0.9, 0.15), 1.8);
    EXPECT_GT(ratio(0.6, 0.15), 1.2);
    for (double rate = 0; rate < 1; rate += 0.05)
        for (const double price : {0.05, 0.15, 0.3, 0.6, 2.0})
            EXPECT_GT(ratio(rate, price), 0.97) << rate << " at " << price;
}

}  // namespace
}  // namespace dunlin
