// What runner.h promises, point by point, on every Runner.

#include "runner/conformance.h"

#include <thread>

namespace dunlin::conformance {
namespace {

class RunnerContract : public testing::TestWithParam<Subject> {
 protected:
    bool rolls_back(uint32_t tokens) const { return tokens <= bench_.can().rollback_max; }
    bool breaks() const { return GetParam().name.ends_with("Breaks"); }

    Bench bench_{GetParam()};
    Runner& runner_ = *bench_.runner;
};

TEST_P(RunnerContract, CapabilitiesAreWhatWasAskedFor) {
    const Capabilities& can = bench_.can();
    EXPECT_EQ(can.vocabulary, kVocabulary);
    EXPECT_EQ(can.sequences_max, kSequences);
    EXPECT_EQ(can.sequence_tokens_max, kSequenceTokens);
    EXPECT_EQ(can.step_tokens_max, kStepTokens);
    EXPECT_GE(can.step_outputs_max, kSequences);
    EXPECT_LE(can.step_outputs_max, can.step_tokens_max);
}

TEST_P(RunnerContract, OpenCountsSequencesAndRefusesWhatNeverFits) {
    const auto prompt = tokens_of(1, 10);
    EXPECT_EQ(runner_.open({{1, 1}, prompt, kSequenceTokens + 1}).error().code, Code::TooLong);
    EXPECT_EQ(runner_.open({{1, 1}, prompt, 9}).error().code, Code::TooLong);
    std::vector<SeqId> open;
    for (uint32_t i = 0; i < kSequences; ++i) {
        EXPECT_EQ(runner_.room().sequences_free, kSequences - i);
        open.push_back(bench_.open(1, prompt));
        EXPECT_NE(open.back(), 0U);
        EXPECT_EQ(std::count(open.begin(), open.end(), open.back()), 1);
        EXPECT_EQ(runner_.length(open.back()), 0U);
    }
    EXPECT_EQ(runner_.open({{1, 1}, prompt, 20}).error().code, Code::NoRoom);
    runner_.close(open[1], Keep::Nothing);
    EXPECT_NE(bench_.open(1, prompt), 0U);
}

TEST_P(RunnerContract, RoomAddsUpAndComesBack) {
    const Room before = runner_.room();
    EXPECT_GT(before.tokens_total, 0U);
    EXPECT_EQ(before.tokens_free, before.tokens_total);
    EXPECT_EQ(before.tokens_cached, 0U);
    const auto all = tokens_of(1, 40);
    const SeqId seq = bench_.open(1, all);
    bench_.advance(seq, all);
    EXPECT_LE(runner_.room().tokens_free, before.tokens_total - 40);
    runner_.close(seq, Keep::Cached);
    EXPECT_EQ(runner_.room().tokens_free, before.tokens_total);
    EXPECT_GE(runner_.room().tokens_cached, 32U);
    EXPECT_LE(runner_.room().tokens_cached, runner_.room().tokens_free);
    const MemoryReport memory = runner_.memory();
    EXPECT_LE(memory.kv_used_bytes, memory.kv_total_bytes);
    EXPECT_LE(memory.kv_cached_bytes, memory.kv_total_bytes);
}

TEST_P(RunnerContract, ASpanInPartsIsTheSpan) {
    const uint32_t parts = bench_.can().parts;
    if (parts == 1 || breaks()) GTEST_SKIP() << "computes whole spans";
    const auto all = tokens_of(1, 30);
    const auto other = tokens_of(2, 40);
    for (uint32_t stride = 1; stride <= parts; ++stride) {
        const SeqId seq = bench_.open(stride, all);
        const SeqId beside = bench_.open(stride + 100, other);
        uint32_t done = 0;  // tokens of the other
        for (uint32_t at = 0; at < all.size();) {
            const auto slice = std::span(all).subspan(at, std::min<size_t>(15, all.size() - at));
            for (uint32_t part = 0; part < parts; part += stride) {
                ASSERT_TRUE(runner_.reserve(seq, static_cast<uint32_t>(slice.size())));
                // Not as many rows before it as in the last step.
                const uint32_t more = 1 + part / stride % 2;
                ASSERT_TRUE(runner_.reserve(beside, more));
                const bool last = part + stride >= parts;
                const uint32_t outputs = last && at + slice.size() == all.size() ? 1 : 0;
                const std::vector<Span> spans{
                    {beside, std::span(other).subspan(done, more), 1},
                    {seq, slice, outputs, {part, std::min(parts, part + stride)}}};
                done += more;
                const auto step = runner_.launch({spans});
                ASSERT_TRUE(step) << step.error().message;
                const auto result = runner_.collect(*step);
                ASSERT_TRUE(result);
                ASSERT_EQ(result->outputs.size(), 1 + outputs);
                bench_.expect_same(result->outputs[0].logits, std::span(other).first(done));
                if (outputs > 0) bench_.expect_same(result->outputs[1].logits, all);
                EXPECT_EQ(runner_.length(seq), at + (last ? slice.size() : 0));
                EXPECT_EQ(runner_.length(beside), done);
            }
            at += static_cast<uint32_t>(slice.size());
        }
        runner_.close(seq, Keep::Nothing);
        runner_.close(beside, Keep::Nothing);
    }
}

/// Every part follows the one before, of the same tokens, with nothing between that undoes it.
TEST_P(RunnerContract, PartsThatDoNotFollowAreRefused) {
    const uint32_t parts = bench_.can().parts;
    if (parts == 1 || breaks()) GTEST_SKIP() << "computes whole spans";
    const auto all = tokens_of(1, 40);
    const SeqId seq = bench_.open(1, all), beside = bench_.open(2, all);
    const std::span<const TokenId> slice = std::span(all).first(4);
    const auto reserve = [&] {
        for (const SeqId one : {seq, beside}) ASSERT_TRUE(runner_.reserve(one, kStepTokens));
    };
    const auto launch = [&](std::vector<Span> spans) -> std::optional<Code> {
        reserve();
        const auto step = runner_.launch({spans});
        if (!step) return step.error().code;
        EXPECT_TRUE(runner_.collect(*step));
        return std::nullopt;
    };
    const Span first{seq, slice, 0, {0, 1}}, second{seq, slice, 0, {1, 2}};
    const Span other_first{beside, slice, 0, {0, 1}}, other_second{beside, slice, 0, {1, 2}};
    const Span other_whole{beside, slice, 0};
    EXPECT_EQ(launch({second}), Code::Invalid) << "nothing was computed before";
    EXPECT_EQ(launch({{seq, slice, 1, {0, 1}}}), Code::Invalid) << "outputs before the last part";
    const auto most = std::span(all).first(bench_.can().part_tokens_max + 1);
    EXPECT_EQ(launch({{seq, most, 0, {0, 1}}}), Code::Invalid) << "too many tokens";
    EXPECT_EQ(launch({first}), std::nullopt);
    EXPECT_EQ(launch({{seq, slice, 0, {2, 3}}}), Code::Invalid) << "leaves a part out";
    EXPECT_EQ(launch({{seq, slice, 0, {1, 1}}}), Code::Invalid) << "no part";
    EXPECT_EQ(launch({{seq, slice.first(3), 0, {1, 2}}}), Code::Invalid) << "other tokens";
    EXPECT_EQ(launch({other_second}), Code::Invalid) << "another sequence";
    EXPECT_EQ(launch({second, other_whole}), Code::Invalid) << "not the last of its batch";
    EXPECT_EQ(launch({other_first}), std::nullopt) << "takes its place";
    EXPECT_EQ(launch({second}), Code::Invalid);
    EXPECT_EQ(launch({other_whole}), std::nullopt) << "begins anew, and the sequence has grown";
    EXPECT_EQ(launch({other_second}), Code::Invalid);
    if (rolls_back(4)) {
        EXPECT_EQ(launch({other_first}), std::nullopt);
        EXPECT_EQ(runner_.trim(beside, 0), 0U);
        EXPECT_EQ(launch({other_second}), Code::Invalid) << "was rolled back";
    }
    EXPECT_EQ(launch({first}), std::nullopt);
    EXPECT_EQ(runner_.length(seq), 0U);
    EXPECT_EQ(launch({{seq, slice, 0, {1, parts}}}), std::nullopt);
    EXPECT_EQ(runner_.length(seq), 4U);
    bench_.expect_same_next(seq, all);
    bench_.expect_same_next(beside, all);
}

TEST_P(RunnerContract, ReservingIsAllOrNothing) {
    const auto all = tokens_of(1, 30);
    const SeqId seq = bench_.open(1, all, 30);
    EXPECT_FALSE(runner_.reserve(seq, 31));
    EXPECT_FALSE(runner_.reserve(seq, UINT32_MAX));
    EXPECT_TRUE(runner_.reserve(seq, 20));
    const uint64_t free = runner_.room().tokens_free;
    EXPECT_TRUE(runner_.reserve(seq, 5)) << "a smaller reservation undoes nothing";
    EXPECT_EQ(runner_.room().tokens_free, free);
    EXPECT_EQ(runner_.length(seq), 0U);
    const Span span{seq, std::span(all).first(20), 0};
    const auto step = runner_.launch({{&span, 1}});
    ASSERT_TRUE(step);
    EXPECT_TRUE(runner_.collect(*step) || breaks());
    bench_.expect_same_next(seq, all);
    EXPECT_FALSE(runner_.reserve(seq, 1));
    EXPECT_TRUE(runner_.reserve(seq, 0));
}

TEST_P(RunnerContract, ASharedPoolIsUsedUpAndSlotsAreNot) {
    std::vector<SeqId> open;
    uint32_t given = 0;
    for (uint32_t i = 0; i < kSequences; ++i) {
        open.push_back(bench_.open(i, {}));
        given += runner_.reserve(open.back(), kSequenceTokens) ? 1 : 0;
    }
    EXPECT_EQ(given, bench_.can().fixed_slots ? kSequences : kPoolTokens / kSequenceTokens);
    runner_.close(open[0], Keep::Cached);
    EXPECT_TRUE(runner_.reserve(open.back(), kSequenceTokens));
}

TEST_P(RunnerContract, LaunchIsRefusedWhole) {
    const auto tokens = tokens_of(1, kSequenceTokens);
    const std::span all(tokens);
    const SeqId good = bench_.open(1, {}), bad = bench_.open(2, {}, 40);
    bench_.advance(good, all.first(20));
    bench_.advance(bad, all.first(3));
    const std::vector<TokenId> negative{-1}, outside{kVocabulary}, large{INT32_MAX};
    struct Case {
        const char* name;
        Code code;
        std::vector<Span> spans;
    };
    const Span fine{good, all.subspan(20, 2), 1};
    ASSERT_TRUE(runner_.reserve(good, 2));
    ASSERT_TRUE(runner_.reserve(bad, 8));
    const uint32_t too_many = bench_.can().step_outputs_max + 1;
    std::vector<Case> cases{
        {"an empty batch", Code::Invalid, {}},
        {"an empty span", Code::Invalid, {fine, {bad, {}, 0}}},
        {"more outputs than tokens", Code::Invalid, {fine, {bad, all.first(2), 3}}},
        {"a negative token", Code::Invalid, {fine, {bad, negative, 1}}},
        {"a token outside", Code::Invalid, {fine, {bad, outside, 1}}},
        {"a large token", Code::Invalid, {fine, {bad, large, 1}}},
        {"two spans of one sequence", Code::Invalid, {fine, {good, all.subspan(22, 1), 1}}},
        {"too many tokens", Code::Invalid, {fine, {bad, all.first(kStepTokens - 1), 0}}},
        {"not reserved", Code::NoRoom, {fine, {bad, all.first(20), 0}}},
        {"too many outputs", Code::Invalid, {{bad, all.first(too_many), too_many}}}};
    if (too_many > kStepTokens) cases.pop_back();
    for (const Case& one : cases) {
        const auto step = runner_.launch({one.spans});
        ASSERT_FALSE(step) << one.name;
        EXPECT_EQ(step.error().code, one.code) << one.name;
        EXPECT_FALSE(step.error().message.empty());
        EXPECT_EQ(runner_.length(good), 20U) << one.name;
        EXPECT_EQ(runner_.length(bad), 3U) << one.name;
    }
    bench_.expect_same_next(good, all.first(25));
    bench_.expect_same_next(bad, all.first(40));
    const Span beyond{bad, all.subspan(40, 1), 1};
    EXPECT_EQ(runner_.launch({{&beyond, 1}}).error().code, Code::NoRoom) << "beyond tokens_max";
}

TEST_P(RunnerContract, OutputsComeInBatchOrder) {
    if (breaks()) return;  // a step that fails gives none
    std::vector<std::vector<TokenId>> all;
    std::vector<SeqId> open;
    std::vector<Span> spans;
    const uint32_t outputs[] = {1, 0, 2, 1}, counts[] = {1, 6, 3, 9};
    for (uint32_t i = 0; i < 4; ++i) all.push_back(tokens_of(i, 30));
    for (uint32_t i = 0; i < 4; ++i) {
        open.push_back(bench_.open(i, {}, 60));
        bench_.advance(open[i], std::span(all[i]).first(5 + i));
    }
    for (const uint32_t i : {2U, 0U, 3U, 1U}) {
        ASSERT_TRUE(runner_.reserve(open[i], counts[i]));
        spans.push_back({open[i], std::span(all[i]).subspan(5 + i, counts[i]), outputs[i]});
    }
    const uint64_t progress = runner_.progress();
    const auto step = runner_.launch({spans});
    ASSERT_TRUE(step) << step.error().message;
    const auto done = runner_.collect(*step);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_GT(runner_.progress(), progress);
    const std::vector<std::pair<uint32_t, uint32_t>> order{{2, 8}, {2, 9}, {0, 5}, {3, 16}};
    ASSERT_EQ(done->outputs.size(), order.size());
    for (size_t i = 0; i < order.size(); ++i) {
        const auto [which, position] = order[i];
        EXPECT_EQ(done->outputs[i].seq, open[which]);
        EXPECT_EQ(done->outputs[i].position, position);
        EXPECT_TRUE(done->outputs[i].finite);
        bench_.expect_same(done->outputs[i].logits, std::span(all[which]).first(position + 1));
    }
    for (uint32_t i = 0; i < 4; ++i) EXPECT_EQ(runner_.length(open[i]), 5 + i + counts[i]);
}

TEST_P(RunnerContract, SlicesDoNotMatter) {
    const auto all = tokens_of(3, 50);
    for (const uint32_t slice : {1U, 7U, 16U, 23U}) {
        const SeqId seq = bench_.open(slice, all);
        bench_.expect_same_next(seq, all, slice);
        runner_.close(seq, Keep::Nothing);
    }
}

TEST_P(RunnerContract, TrimGoesBackAsFarAsItSays) {
    const auto all = tokens_of(1, 70), other = tokens_of(2, 70);
    for (const uint32_t drop : {1U, 3U, 8U, 9U, 17U, 33U, 60U}) {
        const SeqId seq = bench_.open(drop, {});
        bench_.advance(seq, std::span(all).first(60));
        EXPECT_EQ(runner_.trim(seq, 60), 60U);
        EXPECT_EQ(runner_.trim(seq, 1000), 60U);
        const uint32_t left = runner_.trim(seq, 60 - drop);
        EXPECT_EQ(left, rolls_back(drop) ? 60 - drop : 0U);
        EXPECT_EQ(runner_.length(seq), left);
        std::vector<TokenId> mixed(all.begin(), all.begin() + left);
        mixed.insert(mixed.end(), other.begin() + left, other.end());
        bench_.expect_same_next(seq, mixed);
        runner_.close(seq, Keep::Nothing);
    }
}

TEST_P(RunnerContract, AForkAndItsParentGoSeparateWays) {
    const auto all = tokens_of(1, 70), other = tokens_of(2, 70);
    for (const uint32_t length : {0U, 1U, 16U, 37U, 49U, 50U}) {
        const SeqId parent = bench_.open(7, std::span(all).first(50), 70);
        bench_.advance(parent, std::span(all).first(50));
        const auto child = runner_.fork(parent, length);
        ASSERT_TRUE(child) << child.error().message;
        EXPECT_NE(*child, parent);
        EXPECT_EQ(runner_.length(*child), rolls_back(50 - length) ? length : 0U);
        EXPECT_EQ(runner_.length(parent), 50U);
        std::vector<TokenId> mixed(all.begin(), all.begin() + runner_.length(*child));
        mixed.insert(mixed.end(), other.begin() + runner_.length(*child), other.end());
        bench_.expect_same_next(*child, std::span(mixed).first(60));
        bench_.expect_same_next(parent, all);
        bench_.expect_same_next(*child, mixed);
        EXPECT_FALSE(runner_.reserve(*child, 1)) << "the child inherits tokens_max";
        runner_.close(parent, Keep::Nothing);
        runner_.close(*child, Keep::Nothing);
    }
    std::vector<SeqId> open;
    for (uint32_t i = 0; i < kSequences; ++i) open.push_back(bench_.open(7, {}));
    EXPECT_EQ(runner_.fork(open[0], 0).error().code, Code::NoRoom);
}

TEST_P(RunnerContract, AClosedPromptIsFoundAgain) {
    const auto all = tokens_of(1, 60);
    const std::span<const TokenId> prompt = std::span(all).first(50);
    const SeqId first = bench_.open(1, prompt);
    EXPECT_EQ(runner_.match(first).length, 0U);
    bench_.advance(first, prompt);
    runner_.close(first, Keep::Cached);

    const SeqId stranger = bench_.open(2, prompt);
    EXPECT_EQ(runner_.match(stranger).length, 0U) << "another domain";
    runner_.close(stranger, Keep::Nothing);

    const SeqId again = bench_.open(1, all);
    const Match match = runner_.match(again);
    EXPECT_EQ(match.wait_for, 0U);
    EXPECT_EQ(runner_.length(again), match.length);
    EXPECT_LE(match.length, 50U);
    EXPECT_GE(match.length, bench_.can().fixed_slots ? 50U : 48U);
    EXPECT_EQ(runner_.match(again).length, match.length) << "match may be repeated";
    bench_.expect_same_next(again, all);
    runner_.close(again, Keep::Nothing);
}

TEST_P(RunnerContract, TheLastTokenOfThePromptIsAlwaysComputed) {
    const auto all = tokens_of(1, 48);
    const SeqId first = bench_.open(1, all);
    bench_.advance(first, all);
    runner_.close(first, Keep::Cached);
    const SeqId again = bench_.open(1, all);
    EXPECT_LT(runner_.match(again).length, 48U);
    bench_.expect_same_next(again, all);
    const SeqId empty = bench_.open(1, {});
    EXPECT_EQ(runner_.match(empty).length, 0U);
}

TEST_P(RunnerContract, NothingIsKeptOfWhatIsClosedWithNothing) {
    const auto all = tokens_of(1, 48);
    const SeqId first = bench_.open(1, all);
    bench_.advance(first, all);
    runner_.close(first, Keep::Nothing);
    EXPECT_EQ(runner_.room().tokens_cached, 0U);
    const SeqId again = bench_.open(1, all);
    EXPECT_EQ(runner_.match(again).length, 0U);
}

TEST_P(RunnerContract, EqualPromptsAreComputedOnceWherePrefixesAreShared) {
    const auto all = tokens_of(1, 60);
    const SeqId first = bench_.open(1, all), second = bench_.open(1, all);
    const SeqId stranger = bench_.open(2, all);
    EXPECT_EQ(runner_.match(first).wait_for, 0U);
    ASSERT_TRUE(runner_.reserve(first, 20));
    const Match early = runner_.match(second);
    EXPECT_EQ(runner_.match(stranger).wait_for, 0U) << "another domain";
    if (!bench_.can().shares_prefixes) {
        EXPECT_EQ(early.wait_for, 0U);
        EXPECT_EQ(early.length, 0U);
    } else {
        EXPECT_EQ(early.wait_for, first);
        EXPECT_GE(early.wait_length, 48U);
    }
    bench_.expect_same_next(first, all);
    const Match late = runner_.match(second);
    EXPECT_EQ(late.wait_for, 0U);
    EXPECT_GE(late.length, bench_.can().shares_prefixes ? 48U : 0U);
    bench_.expect_same_next(second, all);
    bench_.expect_same_next(stranger, all);
}

TEST_P(RunnerContract, CancellingFromAnotherThreadLeavesOneTruth) {
    const auto all = tokens_of(1, 90);
    const SeqId seq = bench_.open(1, {});
    std::jthread canceller([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            runner_.cancel();
            runner_.progress();
            runner_.memory();
            std::this_thread::yield();
        }
    });
    for (uint32_t tries = 0; tries < 200 && runner_.length(seq) < 89; ++tries) {
        const uint32_t at = runner_.length(seq);
        const auto next = std::span(all).subspan(at, std::min(kStepTokens, 89 - at));
        ASSERT_TRUE(runner_.reserve(seq, static_cast<uint32_t>(next.size())));
        const Span span{seq, next, 0};
        const auto step = runner_.launch({{&span, 1}});
        ASSERT_TRUE(step) << step.error().message;
        const auto done = runner_.collect(*step);
        if (done) EXPECT_EQ(runner_.length(seq), at + next.size());
        EXPECT_GE(runner_.length(seq), at);
        EXPECT_LE(runner_.length(seq), at + next.size());
    }
    canceller.request_stop();
    canceller.join();
    bench_.expect_same_next(seq, all);
}

INSTANTIATE_TEST_SUITE_P(All, RunnerContract, testing::ValuesIn(subjects()), name_of);

TEST(FakeRunner, AFailedLaunchTakesNothing) {
    const auto runner = make_fake_runner({.fail_at_step = 2});
    const auto all = tokens_of(1, 10);
    const auto seq = runner->open({{1, 1}, all, 20});
    ASSERT_TRUE(runner->reserve(*seq, 20));
    const Span first{*seq, all, 0}, second{*seq, all, 1};
    EXPECT_TRUE(runner->launch({{&first, 1}}));
    EXPECT_EQ(runner->launch({{&second, 1}}).error().code, Code::DeviceLost);
    EXPECT_EQ(runner->length(*seq), 10U);
    EXPECT_TRUE(runner->launch({{&second, 1}}));
    EXPECT_EQ(runner->length(*seq), 20U);
}

}  // namespace
}  // namespace dunlin::conformance
