#include "sampling/sampler.h"

#include <cmath>
#include <map>

#include "gtest/gtest.h"

namespace dunlin {
namespace {

const std::vector<float> kLogits = {1.0F, 3.0F, 2.0F, 3.0F, -1.0F};

/// How often each token is drawn under many seeds.
std::map<TokenId, double> shares(SamplingParams params,
                                 const std::vector<float>& logits = kLogits) {
    constexpr int kDraws = 20000;
    std::map<TokenId, double> counts;
    for (int i = 0; i < kDraws; ++i) {
        params.seed = static_cast<uint64_t>(i);
        counts[Sampler(params).next(logits)] += 1.0 / kDraws;
    }
    return counts;
}

TEST(Sampler, GreedyTakesTheBestAndTheLowerIdOfEquals) {
    EXPECT_EQ(Sampler({.temperature = 0}).next(kLogits), 1);
}

TEST(Sampler, DrawsFollowTheSoftmaxAtEachTemperature) {
    for (const float temperature : {0.5F, 1.0F, 2.0F}) {
        double total = 0;
        for (const float logit : kLogits) total += std::exp(logit / temperature);
        const auto drawn = shares({.temperature = temperature});
        for (size_t i = 0; i < kLogits.size(); ++i) {
            const auto at = drawn.find(static_cast<TokenId>(i));
            EXPECT_NEAR(at == drawn.end() ? 0.0 : at->second,
                        std::exp(kLogits[i] / temperature) / total, 0.015);
        }
    }
}

TEST(Sampler, CutsWhatIsNotAllowed) {
    EXPECT_EQ(shares({.top_k = 1}).size(), 1U);
    EXPECT_EQ(shares({.top_k = 3}).size(), 3U);
    EXPECT_FALSE(shares({.top_k = 3}).contains(0));
    EXPECT_EQ(shares({.top_p = 0.01F}).size(), 1U);
    EXPECT_EQ(shares({.top_p = 0.75F}).size(), 2U);  // the two equal ones hold 0.79
    EXPECT_EQ(shares({.min_p = 0.9F}).size(), 2U);
    EXPECT_EQ(shares({.min_p = 0.3F}).size(), 3U);  // e^-1 = 0.37
}

TEST(Sampler, RefusesNumbersThatMeanNothing) {
    EXPECT_FALSE(invalid({}));
    EXPECT_FALSE(invalid({.temperature = 0, .top_k = 5, .top_p = 0, .min_p = 1}));
    const SamplingParams wrong[] = {{.temperature = -1},
                                    {.temperature = NAN},
                                    {.top_k = -1},
                                    {.top_p = 1.1F},
                                    {.min_p = 1.5F},
                                    {.min_p = -0.1F},
                                    {.repetition_penalty = 0},
                                    {.presence_penalty = INFINITY},
                                    {.frequency_penalty = NAN},
                                    {.logit_bias = {{1, INFINITY}}}};
    const char* const names[] = {"temperature",
                                 "temperature",
                                 "top_k",
                                 "top_p",
                                 "min_p",
                                 "min_p",
                                 "repetition_penalty",
                                 "presence_penalty",
                                 "frequency_penalty",
                                 "logit_bias"};
    for (size_t i = 0; i < std::size(wrong); ++i) {
        const auto error = invalid(wrong[i]);
        ASSERT_TRUE(error) << i;
        EXPECT_EQ(error->param, names[i]);
    }
}

TEST(Sampler, TheSmallestTemperaturesAreGreedy) {
    for (const float temperature : {1e-44F, 1e-30F, 1e-6F, 1e-5F})
        for (uint64_t seed = 0; seed < 50; ++seed)
            EXPECT_NE(Sampler({.temperature = temperature, .seed = seed}).next(kLogits), 2);
    EXPECT_EQ(Sampler({.temperature = 1e-44F}).next(kLogits), 1);
}

/// The steps by themselves against their definitions, put together in the documented order.
TEST(Sampler, StepsRunInTheOrderOfTheTable) {
    // Relative weights 1, 1/2, 1/4, 1/8: min_p first, or top_p would keep two.
    const std::vector<float> halves = {0, -0.6931472F, -1.3862944F, -2.0794415F};
    EXPECT_EQ(shares({.top_p = 0.66F, .min_p = 0.3F}, halves).size(), 1U);
    EXPECT_EQ(shares({.top_p = 0.66F}, halves).size(), 2U);
    // top_k before top_p: 0.66 of the first two's weight is the first.
    EXPECT_EQ(shares({.top_k = 2, .top_p = 0.66F}, halves).size(), 1U);
    // Penalties before the bias, which decides here.
    EXPECT_EQ(Sampler({.temperature = 0, .logit_bias = {{0, 2.5F}}}).next(kLogits), 0);
}

TEST(Sampler, TheSeedAndTheIndexDecide) {
    Sampler a({.seed = 7}), b({.seed = 7}), c({.seed = 8});
    int different = 0;
    for (int i = 0; i < 200; ++i) {
        const TokenId token = a.next(kLogits);
        EXPECT_EQ(token, b.next(kLogits));
        different += token != c.next(kLogits) ? 1 : 0;
    }
    EXPECT_GT(different, 50);
}

TEST(Sampler, PenaltiesAndBias) {
    Sampler repetition({.temperature = 0, .repetition_penalty = 2.0F});
    repetition.saw_prompt(std::vector<TokenId>{1, 1, 3});
    EXPECT_EQ(repetition.next(kLogits), 2);  // 3 / 2 < 2
    EXPECT_EQ(repetition.next(kLogits), 1);  // now 2 is at 1 as well
    Sampler presence({.temperature = 0, .presence_penalty = 0.5F});
    EXPECT_EQ(presence.next(kLogits), 1);
    EXPECT_EQ(presence.next(kLogits), 3);
    EXPECT_EQ(presence.next(kLogits), 1);  // counted once only
    Sampler frequency({.temperature = 0, .frequency_penalty = 0.6F});
    std::vector<TokenId> tokens;
    for (int i = 0; i < 5; ++i) tokens.push_back(frequency.next(kLogits));
    EXPECT_EQ(tokens, (std::vector<TokenId>{1, 3, 1, 3, 2}));
    EXPECT_EQ(Sampler({.temperature = 0, .logit_bias = {{4, 100.0F}, {99, 1.0F}}}).next(kLogits),
              4);
}

TEST(Sampler, Logprobs) {
    const Logprobs found = logprobs_of(kLogits, 2, 3);
    double total = 0;
    for (const float logit : kLogits) total += std::exp(logit);
    EXPECT_NEAR(found.token, 2.0 - std::log(total), 1e-6);
    ASSERT_EQ(found.top.size(), 3U);
    EXPECT_EQ(found.top[0].id, 1);
    EXPECT_EQ(found.top[1].id, 3);
    EXPECT_EQ(found.top[2].id, 2);
    EXPECT_NEAR(found.top[2].value, found.token, 1e-6);
}

}  // namespace
}  // namespace dunlin
