// The scheduler by itself, in simulated time: one thread, the fake runner's own clock, so that the
// same history gives the same steps to the microsecond.

#include "engine/scheduler.h"

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "engine/byte_tokenizer.h"
#include "engine/local_engine.h"
#include "gtest/gtest.h"
#include "runner/fake/fake_runner.h"

namespace dunlin {
namespace {

// A step costs 5 ms to read the weights and 0.2 ms for each token.
FakeSettings slow_fake() {
    return {.vocabulary = kByteTokenizerSize,
            .blocks = 2000,
            .sequences_max = 16,
            .sequence_tokens_max = 8000,
            .step_tokens_max = 512,
            .step_us = 5000,
            .token_us = 200};
}

class Simulation {
 public:
    explicit Simulation(const FakeSettings& settings = slow_fake(),
                        uint32_t draft_tokens_max = EngineSettings{}.draft_tokens_max)
        : runner_(make_fake_runner(with_clock(settings))),
          scheduler_(*runner_, StepPace(EngineSettings{}.slice_ratio, 1'000'000),
                     draft_tokens_max) {}

    /// A prompt of `prompt` tokens that nobody shares, and an answer of `count`.
    Sequence* enqueue(uint32_t prompt, uint32_t count) {
        std::vector<TokenId> tokens(prompt);
        for (uint32_t i = 0; i < prompt; ++i)
            tokens[i] = static_cast<TokenId>((i * 7 + prompt) % 251);
        return enqueue(std::move(tokens), count, ++domains_);
    }
    Sequence* enqueue(std::vector<TokenId> prompt, uint32_t count, uint64_t domain) {
        auto answer = std::make_shared<Answer>();
        answer->request = std::make_unique<LocalPrepared>();
        answer->request->request.sampling.temperature = 0;
        answer->request->request.ignore_eos = true;
        answer->request->answer_tokens_max = count;
        answer->request->prompt = std::move(prompt);
        answer->admission.domain = {domain, 0};
        auto sequence = std::make_unique<Sequence>(std::move(answer), 0, *tokenizer_);
        Sequence* out = sequence.get();
        scheduler_.enqueue(std::move(sequence));
        return out;
    }

    /// One step; false where there is nothing left to do.
    bool step() {
        std::vector<Scheduler::Refusal> refused;
        const auto rows = scheduler_.next(refused);
        EXPECT_TRUE(refused.empty());
        // Work that waits while nothing runs would wait for ever.
        EXPECT_EQ(rows.empty(), scheduler_.idle());
        if (rows.empty()) return false;
        std::vector<Span> spans;
        for (const auto& row : rows) spans.push_back(row.span);
        const auto step = runner_->launch({spans});
        EXPECT_TRUE(step) << step.error().message;
        const auto done = runner_->collect(*step);
        scheduler_.note(rows, done->compute_us);
        size_t output = 0;
        for (const auto& row : rows) {
            history_.push_back({clock_.now_us(), row.span.tokens.size()});
            if (row.span.outputs == 0) continue;
            const auto outputs = done->outputs.subspan(output, row.span.outputs);
            output += outputs.size();
            uint32_t sampled = 0;
            do {
                row.sequence->accept(outputs[sampled].logits, {});
                times_[row.sequence].push_back(clock_.now_us());
            } while (!row.sequence->finished() && row.continues(sampled++));
            drafted_ += row.drafted();
            accepted_ += scheduler_.settle(row);
            if (row.sequence->finished())
                finished_.push_back(scheduler_.remove(row.sequence, Keep::Cached));
        }
        return true;
    }
    void run() {
        while (step()) {
        }
        EXPECT_TRUE(scheduler_.idle());
    }

    /// Takes a sequence out before its end, wherever it is.
    void cancel(Sequence* sequence) { scheduler_.remove(sequence, Keep::Cached); }
    const std::vector<std::unique_ptr<Sequence>>& finished() const { return finished_; }
    Room room() const { return runner_->room(); }

    const std::vector<int64_t>& times(Sequence* sequence) { return times_[sequence]; }
    /// The longest time between two tokens of the sequence.
    int64_t longest_gap(Sequence* sequence) {
        int64_t longest = 0;
        const auto& at = times_[sequence];
        for (size_t i = 1; i < at.size(); ++i) longest = std::max(longest, at[i] - at[i - 1]);
        return longest;
    }
    int64_t now() const { return clock_.now_us(); }
    uint64_t drafted() const { return drafted_; }
    uint64_t accepted() const { return accepted_; }
    const std::vector<std::pair<int64_t, size_t>>& history() const { return history_; }

 private:
    FakeSettings with_clock(FakeSettings settings) {
        settings.clock = &clock_;
        return settings;
    }
    ManualClock clock_;
    std::unique_ptr<Tokenizer> tokenizer_ = make_byte_tokenizer();
    std::unique_ptr<Runner> runner_;
    Scheduler scheduler_;
    uint64_t domains_ = 0, drafted_ = 0, accepted_ = 0;
    std::map<Sequence*, std::vector<int64_t>> times_;  // of each token
    std::vector<std::unique_ptr<Sequence>> finished_;
    std::vector<std::pair<int64_t, size_t>> history_;
};

TEST(Scheduler, ALongPromptHalvesThePaceOfOthersAtMost) {
    Simulation alone;
    Sequence* lonely = alone.enqueue(20, 1000);
    alone.run();
    Simulation prompt_alone;
    const int64_t prompt_us =
        (prompt_alone.enqueue(6000, 1), prompt_alone.run(), prompt_alone.now());

    Simulation both;
    Sequence* stream = both.enqueue(20, 1000);
    for (int i = 0; i < 50; ++i) both.step();
    const int64_t begin = both.now();
    Sequence* prompt = both.enqueue(6000, 1);
    both.run();
    EXPECT_LT(both.longest_gap(stream), 2 * alone.longest_gap(lonely));
    EXPECT_LT(both.times(prompt)[0] - begin, 2 * prompt_us);
    EXPECT_EQ(both.times(stream).size(), 1000U);
}

/// An answer of 6,000 tokens and a prompt of as many beside it, on a runner where a slice costs by
/// what is before it too: how many times their time alone the answer's slowest token and the prompt
/// took.
struct Company {
    double longest, prompt;
};
Company keep_company(uint32_t depth_us, uint32_t parts) {
    FakeSettings fake = slow_fake();
    fake.depth_us = depth_us;
    fake.parts = parts;
    Simulation prompt_alone(fake), both(fake);
    prompt_alone.enqueue(6000, 1);
    prompt_alone.run();

    Sequence* stream = both.enqueue(20, 6000);
    for (int i = 0; i < 50; ++i) both.step();
    const int64_t alone_us = both.longest_gap(stream), begin = both.now();
    Sequence* prompt = both.enqueue(6000, 1);
    while (both.times(prompt).empty()) both.step();
    return {static_cast<double>(both.longest_gap(stream)) / static_cast<double>(alone_us),
            static_cast<double>(both.now() - begin) / static_cast<double>(prompt_alone.now())};
}

/// Where a slice costs up to five times what a step does, only a runner that computes it in parts
/// comes near the promise. A step is filled with whole parts, and what is left of it stays empty:
/// so the prompt takes more than twice its time.
TEST(Scheduler, ADeepPromptIsComputedInParts) {
    const Company in_parts = keep_company(4000, 30), whole = keep_company(4000, 1);
    EXPECT_LT(in_parts.longest, 3);
    EXPECT_LT(in_parts.prompt, 2.7);
    EXPECT_GT(whole.longest, 5);
    EXPECT_GT(whole.prompt, 10);
}

TEST(Scheduler, AShortPromptDoesNotWaitForALongOne) {
    for (const bool decoding : {false, true}) {
        FakeSettings fake = slow_fake();
        fake.depth_us = decoding ? 4000 : 0;
        fake.parts = 30;
        Simulation s(fake);
        if (decoding) {
            s.enqueue(20, 2000);
            for (int i = 0; i < 50; ++i) s.step();
        }
        Sequence* long_one = s.enqueue(6000, 1);
        for (int i = 0; i < 5; ++i) s.step();
        const int64_t begin = s.now();
        Sequence* short_one = s.enqueue(40, 1);
        s.run();
        EXPECT_LT((s.times(short_one)[0] - begin) * 5, s.times(long_one)[0] - begin);
    }
}

TEST(Scheduler, EveryPromptMovesInEveryStepThatHasRoomForAll) {
    Simulation s;
    std::vector<Sequence*> prompts;
    for (uint32_t i = 0; i < 10; ++i) prompts.push_back(s.enqueue(100 + i, 1));
    s.run();
    std::vector<int64_t> ends;
    for (Sequence* prompt : prompts) ends.push_back(s.times(prompt)[0]);
    // Nearly equal prompts that came together end nearly together.
    EXPECT_LT(*std::max_element(ends.begin(), ends.end()),
              *std::min_element(ends.begin(), ends.end()) * 3 / 2);
}

TEST(Scheduler, TheSameHistoryGivesTheSameSteps) {
    const auto history = [] {
        Simulation s;
        for (uint32_t i = 0; i < 30; ++i) {
            s.enqueue(1 + i * 37 % 900, 1 + i * 11 % 60);
            for (uint32_t n = i % 4; n > 0; --n) s.step();
        }
        s.run();
        return s.history();
    };
    const auto first = history();
    EXPECT_GT(first.size(), 500U);
    EXPECT_EQ(first, history());
}

/// Caches of 4 to 64 blocks, common beginnings, cancels at any moment: every sequence ends with the
/// tokens it would have had alone, and every block comes back.
TEST(Scheduler, TenThousandHistoriesInTinyCaches) {
    uint64_t drafted = 0, accepted = 0;
    for (uint32_t seed = 0; seed < 10'000; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
        const uint32_t blocks = 4 + below(61);
        const uint32_t tokens_max = std::min(blocks * 16, 300U);
        Simulation s({.vocabulary = 16,
                      .blocks = blocks,
                      .sequences_max = 1 + below(6),
                      .step_outputs_max = 6 + below(8),
                      .sequence_tokens_max = tokens_max,
                      .step_tokens_max = 8 + below(60),
                      .step_us = 100 + below(1000),
                      .token_us = below(100),
                      .depth_us = below(20'000),
                      .parts = 1 + below(8),
                      .surprise_every = seed % 4});
        std::vector<Sequence*> live;
        size_t enqueued = 0, cancelled = 0;
        for (int action = 0; action < 25; ++action) {
            if (below(3) == 0) {
                std::vector<TokenId> prompt(1 + below(tokens_max - 1), 1);
                for (size_t i = below(tokens_max); i < prompt.size(); ++i)
                    prompt[i] = static_cast<TokenId>(below(2));
                const auto room = tokens_max - static_cast<uint32_t>(prompt.size());
                const uint32_t count = 1 + below(std::min(room, seed % 4 > 1 ? 40U : 12U));
                live.push_back(s.enqueue(std::move(prompt), count, below(2)));
                ++enqueued;
            } else if (below(8) == 0 && !live.empty()) {
                const size_t at = below(static_cast<uint32_t>(live.size()));
                s.cancel(live[at]);
                live.erase(live.begin() + static_cast<long>(at));
                ++cancelled;
            } else {
                const size_t before = s.finished().size();
                s.step();
                for (size_t i = before; i < s.finished().size(); ++i)
                    std::erase(live, s.finished()[i].get());
            }
        }
        s.run();
        ASSERT_EQ(s.finished().size(), enqueued - cancelled) << "seed " << seed;
        for (const auto& sequence : s.finished()) {
            std::vector<TokenId> expected = sequence->answer().request->prompt;
            while (expected.size() < sequence->tokens_max())
                expected.push_back(fake_next_token(expected, 16, seed % 4));
            ASSERT_EQ(sequence->tokens(), expected) << "seed " << seed;
        }
        ASSERT_EQ(s.room().tokens_free, s.room().tokens_total) << "seed " << seed;
        if (HasFailure()) FAIL() << "seed " << seed;
        drafted += s.drafted();
        accepted += s.accepted();
    }
    EXPECT_GT(accepted, 5'000U);
    EXPECT_GT(drafted - accepted, 5'000U);
}

/// An answer that says again what stands in the prompt takes a fraction of the steps, and beside a
/// prompt it goes at the usual pace.
TEST(Scheduler, GuessesPayWhereTextRepeats) {
    const auto time_of = [](uint32_t surprise_every, uint32_t drafts) {
        FakeSettings fake = slow_fake();
        fake.surprise_every = surprise_every;
        Simulation s(fake, drafts);
        s.enqueue(20, 400);
        s.run();
        return static_cast<double>(s.now());
    };
    EXPECT_GT(time_of(40, 0) / time_of(40, 8), 2.5);
    EXPECT_GT(time_of(1, 0) / time_of(1, 8), 0.97);
}

TEST(Scheduler, GuessesStopWhileAPromptIsComputed) {
    FakeSettings fake = slow_fake();
    fake.surprise_every = 1000;
    Simulation s(fake);
    Sequence* stream = s.enqueue(20, 3000);
    for (int i = 0; i < 60; ++i) s.step();
    const uint64_t before = s.drafted();
    EXPECT_GT(before, 100U);
    const size_t tokens = s.times(stream).size();
    Sequence* prompt = s.enqueue(6000, 1);
    while (s.times(prompt).empty()) s.step();
    EXPECT_EQ(s.drafted(), before);
    EXPECT_GT(s.times(stream).size(), tokens + 20);
}

/// What was guessed wrong is nowhere to be found: neither in the sequence nor in the cache.
TEST(Scheduler, RefusedGuessesAreNotCached) {
    std::vector<uint32_t> cached;
    for (const uint32_t drafts : {0U, 8U}) {
        FakeSettings fake = slow_fake();
        fake.vocabulary = 16;
        fake.surprise_every = 6;
        Simulation s(fake, drafts);
        s.enqueue(std::vector<TokenId>(20, 1), 300, 1);
        s.run();
        EXPECT_EQ(s.drafted() > s.accepted(), drafts > 0);
        auto again = s.finished()[0]->tokens();
        again.push_back(3);
        Sequence* second = s.enqueue(again, 1, 1);
        s.run();
        EXPECT_EQ(s.finished()[1]->tokens().back(), fake_next_token(again, 16, 6));
        cached.push_back(second->answer().usage.cached_tokens);
    }
    EXPECT_GE(cached[0], 304U);
    EXPECT_EQ(cached[1], cached[0]);
}

TEST(StepPace, MeasuresDecodingAloneFirstAndNowAndThen) {
    StepPace pace(1.0, 1'000'000);
    EXPECT_EQ(pace.prefill_tokens_max(4), 0);
    pace.note(4, 0, 10'000);
    uint32_t measured = 0;
    for (int i = 0; i < 195; ++i) {
        const double tokens = pace.prefill_tokens_max(4);
        pace.note(4, tokens, 10'000 + static_cast<uint64_t>(500 * tokens));
        if (tokens == 0) ++measured;
        if (i > 1 && tokens != 0) EXPECT_EQ(tokens, 20);
    }
    EXPECT_EQ(measured, 3U);
    EXPECT_EQ(pace.prefill_tokens_max(8), 20);
    EXPECT_EQ(pace.prefill_tokens_max(9), 0);  // so many more take another time
    pace.note(9, 0, 20'000);
    EXPECT_EQ(pace.prefill_tokens_max(9), 40);
    EXPECT_EQ(pace.prefill_tokens_max(4), 0);
}

TEST(StepPace, NeverStopsAndNeverExceedsTheLongestStep) {
    StepPace slow(1.0, 1'000'000);
    slow.note(0, 16, 160'000'000);  // ten seconds a token
    EXPECT_EQ(slow.prefill_tokens_max(0), 16);
    slow.note(1, 0, 20'000'000);
    EXPECT_EQ(slow.prefill_tokens_max(1), 1.0 / 64);
    StepPace fair(1.0, 1'000'000);
    fair.note(0, 100, 1'000'000);
    EXPECT_EQ(fair.prefill_tokens_max(0), 100);
}

}  // namespace
}  // namespace dunlin
