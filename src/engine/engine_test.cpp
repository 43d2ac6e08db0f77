// The engine on the fake runner, whose answers depend on every token before: whatever is cancelled,
// preempted, shared or fails beside it, an answer must be what it would be alone, and every answer
// must end exactly once.

#include <chrono>
#include <future>
#include <map>
#include <random>
#include <thread>

#include "engine/byte_tokenizer.h"
#include "engine/local_engine.h"
#include "engine/prepare.h"
#include "engine/stop_strings.h"
#include "gtest/gtest.h"
#include "runner/fake/fake_runner.h"

namespace dunlin {
namespace {

constexpr FakeSettings kFake{.vocabulary = kByteTokenizerSize};

struct Result {
    std::vector<std::vector<TokenId>> tokens;  // by choice
    std::vector<std::string> texts;
    std::vector<std::optional<Finished>> finished;
    Usage usage;
    std::optional<Error> error;
};

class EngineTest : public testing::Test {
 protected:
    void start(const FakeSettings& fake, EngineSettings settings = {},
               const Clock& clock = system_clock()) {
        settings.model = "fake";
        settings.end_tokens = {kByteTokenizerEnd};
        engine_.reset();
        auto runner = make_fake_runner(fake);
        runner_ = runner.get();
        engine_ = make_engine(std::move(runner), make_byte_tokenizer(), nullptr, settings, clock,
                              metrics_);
    }
    static Request request(std::string prompt, uint32_t max_tokens) {
        Request r;
        r.prompt = std::move(prompt);
        r.max_tokens = max_tokens;
        r.sampling.temperature = 0;
        r.ignore_eos = true;
        return r;
    }
    std::shared_ptr<Generation> submit(const Request& r, const Admission& admission = {}) {
        auto prepared = engine_->prepare(r, {});
        EXPECT_TRUE(prepared) << prepared.error().message;
        return engine_->submit(std::move(*prepared), admission);
    }
    /// Reads a log to its end, checking its grammar.
    static Result read(Generation& log, uint32_t choices = 1) {
        Result result;
        result.tokens.resize(choices);
        result.texts.resize(choices);
        result.finished.resize(choices);
        bool started = false;
        for (uint64_t at = 0;;) {
            wait_for_event(log, at);
            std::vector<Event> events;
            at += log.read(at, 1, events);
            const Event& event = events.at(0);
            if (std::holds_alternative<Started>(event)) {
                EXPECT_FALSE(std::exchange(started, true));
            } else if (const auto* text = std::get_if<Text>(&event)) {
                EXPECT_TRUE(started && !result.finished[text->choice]);
                result.texts[text->choice] += text->utf8;
                auto& tokens = result.tokens[text->choice];
                tokens.insert(tokens.end(), text->tokens.begin(), text->tokens.end());
            } else if (const auto* end = std::get_if<Finished>(&event)) {
                EXPECT_FALSE(result.finished[end->choice]);
                result.finished[end->choice] = *end;
            } else if (const auto* done = std::get_if<Done>(&event)) {
                for (const auto& one : result.finished) EXPECT_TRUE(one);
                result.usage = done->usage;
                break;
            } else if (const auto* failed = std::get_if<Failed>(&event)) {
                result.error = failed->error;
                break;
            }
        }
        return result;
    }
    static std::vector<TokenId> alone(const std::string& prompt, size_t count) {
        std::vector<TokenId> tokens;
        for (const char c : prompt) tokens.push_back(static_cast<unsigned char>(c));
        const size_t begin = tokens.size();
        while (tokens.size() < begin + count)
            tokens.push_back(fake_next_token(tokens, kByteTokenizerSize));
        return {tokens.begin() + static_cast<long>(begin), tokens.end()};
    }

    /// Waits until the log has an event of this kind.
    template <class Kind>
    static void wait_for(Generation& log) {
        for (uint64_t at = 0;; ++at) {
            wait_for_event(log, at);
            std::vector<Event> events;
            log.read(at, 1, events);
            if (std::holds_alternative<Kind>(events.at(0))) return;
        }
    }
    /// Waits until the engine has done so many steps more.
    void wait_for_steps(uint64_t steps) {
        const uint64_t end = runner_->progress() + steps;
        while (runner_->progress() < end)
            std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    /// Everything has come back once nobody works any more.
    void expect_all_free() {
        engine_->drain(system_clock().now_us() + 10'000'000);
        const EngineState state = engine_->state();
        EXPECT_EQ(state.running + state.queued, 0U);
        EXPECT_EQ(state.room.tokens_free, state.room.tokens_total);
    }

    Metrics metrics_;
    ManualClock manual_clock_;  // outlives the engine
    std::shared_ptr<Engine> engine_;
    Runner* runner_ = nullptr;  // the engine's own; only progress() is for us
};

/// Where a sequence is when something happens to it; each begins from a started engine.
enum class Phase : uint8_t { Queue, Prefill, Decode };

class EveryPhase : public EngineTest, public testing::WithParamInterface<Phase> {
 protected:
    /// An answer that is in the phase, and would stay there for a second or more.
    std::shared_ptr<Generation> reach(const Clock& clock, const Admission& admission = {}) {
        start({.vocabulary = kByteTokenizerSize,
               .blocks = 300,
               .sequences_max = 1,
               .sequence_tokens_max = 2400,
               .step_tokens_max = 1,
               .step_us = 1000},
              {}, clock);
        if (GetParam() == Phase::Queue) {
            other_ = submit(request("the one that runs", 2000));
            wait_for<Text>(*other_);
        }
        auto log = submit(request(std::string(GetParam() == Phase::Prefill ? 2000 : 4, 'p'), 300),
                          admission);
        if (GetParam() == Phase::Prefill) wait_for<Started>(*log);
        if (GetParam() == Phase::Decode) wait_for<Text>(*log);
        wait_for_steps(5);
        return log;
    }
    void end_other() {
        if (!other_) return;
        other_->cancel();
        EXPECT_FALSE(read(*other_).tokens[0].empty());
    }
    std::shared_ptr<Generation> other_;
};

TEST_P(EveryPhase, ACancelledSequenceIsGoneWithinAStep) {
    const auto log = reach(system_clock());
    std::vector<Event> so_far;
    const uint64_t events = log->read(0, 10'000, so_far);
    std::promise<uint64_t> noticed;  // the engine's steps when it wrote what comes next
    log->wake_on_event(events, [&]() noexcept { noticed.set_value(runner_->progress()); });
    const uint64_t begun = runner_->progress();
    log->cancel();
    const Result result = read(*log);
    // Only the other goes on; and one step may have been launched before the engine saw it.
    const uint64_t first = noticed.get_future().get();
    EXPECT_LE(other_ ? first : runner_->progress(), begun + 1);
    ASSERT_TRUE(result.finished[0]);
    EXPECT_EQ(result.finished[0]->end, End::Cancelled);
    EXPECT_EQ(result.usage.completion_tokens > 0, GetParam() == Phase::Decode);
    EXPECT_LE(result.tokens[0].size(), events + 3);
    end_other();
    expect_all_free();
}

TEST_P(EveryPhase, ADeadlineEndsAsAnErrorNeverAsALength) {
    const auto log = reach(manual_clock_, {.deadline_us = 1000});
    manual_clock_.advance_us(999);
    wait_for_steps(3);
    std::vector<Event> events;
    log->read(0, 10'000, events);
    for (const Event& event : events) EXPECT_FALSE(std::holds_alternative<Failed>(event));
    manual_clock_.advance_us(1);
    const Result result = read(*log);
    ASSERT_TRUE(result.error);
    EXPECT_EQ(result.error->code, Code::DeadlineExceeded);
    EXPECT_FALSE(result.finished[0]);
    end_other();
    engine_->drain(0);  // the manual clock stands still
    EXPECT_EQ(engine_->state().room.tokens_free, engine_->state().room.tokens_total);
}

std::string phase_name(const testing::TestParamInfo<Phase>& phase) {
    constexpr const char* kNames[] = {"Queue", "Prefill", "Decode"};
    return kNames[static_cast<size_t>(phase.param)];
}
INSTANTIATE_TEST_SUITE_P(Engine, EveryPhase,
                         testing::Values(Phase::Queue, Phase::Prefill, Phase::Decode), phase_name);

TEST_F(EngineTest, AnswersGreedily) {
    start(kFake);
    const Result result = read(*submit(request("hello", 20)));
    EXPECT_EQ(result.tokens[0], alone("hello", 20));
    EXPECT_EQ(result.finished[0]->end, End::Length);
    EXPECT_EQ(result.usage.prompt_tokens, 5U);
    EXPECT_EQ(result.usage.completion_tokens, 20U);
    EXPECT_EQ(read(*submit(request("hello", 0))).finished[0]->end, End::Length);
}

TEST_F(EngineTest, ChoicesDifferAndRepeatUnderTheSameSeed) {
    start(kFake);
    Request r = request("several", 12);
    r.choices = 3;
    r.sampling.temperature = 5;
    r.sampling.seed = 11;
    const Result first = read(*submit(r), 3);
    const Result second = read(*submit(r), 3);
    EXPECT_EQ(first.tokens, second.tokens);
    EXPECT_NE(first.tokens[0], first.tokens[1]);
    EXPECT_NE(first.tokens[1], first.tokens[2]);
    EXPECT_EQ(first.usage.completion_tokens, 36U);
}

TEST_F(EngineTest, RandomCompanyChangesNothing) {
    for (uint32_t seed = 0; seed < 25; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
        start({.vocabulary = kByteTokenizerSize,
               .blocks = 12 + below(20),
               .sequences_max = 1 + below(6),
               .sequence_tokens_max = 160,
               .step_tokens_max = 8 + below(40)},
              {.slice_ratio = 0.1 * (1 + below(20))});
        struct One {
            std::string prompt;
            uint32_t count;
            bool cancelled;
            std::shared_ptr<Generation> log;
        };
        std::vector<One> all;
        for (int i = 0; i < 40; ++i) {
            std::string prompt = below(2) == 0 ? "a common beginning of many prompts, " : "";
            for (uint32_t n = 1 + below(80); n > 0; --n)
                prompt += static_cast<char>('a' + below(3));
            const uint32_t count = 1 + below(40);
            all.push_back({prompt, count, below(5) == 0,
                           submit(request(prompt, count), {.domain = {below(2), 0}})});
            if (all.back().cancelled) all.back().log->cancel();
        }
        for (const One& one : all) {
            const Result result = read(*one.log);
            ASSERT_FALSE(result.error) << result.error->message;
            const auto expected = alone(one.prompt, one.count);
            const auto& tokens = result.tokens[0];
            if (!one.cancelled) ASSERT_EQ(tokens.size(), one.count) << "seed " << seed;
            ASSERT_TRUE(std::equal(tokens.begin(), tokens.end(), expected.begin()))
                << "seed " << seed;
        }
        engine_->drain(system_clock().now_us() + 1'000'000);
        const EngineState state = engine_->state();
        EXPECT_EQ(state.room.tokens_free, state.room.tokens_total);
    }
}

TEST_F(EngineTest, SampledAnswersAreTheirOwn) {
    start({.vocabulary = kByteTokenizerSize, .step_tokens_max = 24});
    const auto sampled = [&](uint32_t i) {
        Request r = request("sampled prompt " + std::to_string(i / 2), 15 + i);
        r.sampling.temperature = 3;
        r.sampling.seed = i;
        return r;
    };
    std::vector<std::vector<TokenId>> alone;
    for (uint32_t i = 0; i < 20; ++i) alone.push_back(read(*submit(sampled(i))).tokens[0]);
    EXPECT_NE(std::vector(alone[0].begin(), alone[0].end()),
              std::vector(alone[1].begin(), alone[1].begin() + 15));  // the seed matters
    std::vector<std::shared_ptr<Generation>> together;
    for (uint32_t i = 0; i < 20; ++i) together.push_back(submit(sampled(19 - i)));
    for (uint32_t i = 0; i < 20; ++i) EXPECT_EQ(read(*together[i]).tokens[0], alone[19 - i]);
}

TEST_F(EngineTest, StopStringsAcrossTokensAreCutOff) {
    start(kFake);
    const auto tokens = alone("find a stop", 200);
    // The fake's bytes are arbitrary; take three neighbours that are plain letters as the stop.
    size_t at = 0;
    const auto letter = [&](size_t i) { return tokens[i] > 32 && tokens[i] < 127; };
    while (at + 2 < tokens.size() && !(letter(at) && letter(at + 1))) ++at;
    ASSERT_LT(at + 2, tokens.size());
    const std::string stop = {static_cast<char>(tokens[at]), static_cast<char>(tokens[at + 1])};
    Request r = request("find a stop", 200);
    r.stop = {"never in there", stop};
    const Result result = read(*submit(r));
    EXPECT_EQ(result.finished[0]->end, End::Stop);
    EXPECT_EQ(result.finished[0]->stop, stop);
    EXPECT_EQ(result.texts[0].find(stop), std::string::npos);
    EXPECT_LE(result.tokens[0].size(), at + 2);
}

TEST_F(EngineTest, RefusesDeadlinesAndFullQueues) {
    start({.vocabulary = kByteTokenizerSize, .sequences_max = 1, .step_us = 2000},
          {.queue_max = 2});
    const auto running = submit(request("first", 100));
    const auto late =
        submit(request("late", 100), {.deadline_us = system_clock().now_us() + 20'000});
    EXPECT_EQ(read(*late).error->code, Code::DeadlineExceeded);
    std::vector<std::shared_ptr<Generation>> many;
    for (int i = 0; i < 6; ++i) many.push_back(submit(request("many", 3)));
    EXPECT_EQ(read(*many.back()).error->code, Code::Overloaded);
    running->cancel();
    EXPECT_EQ(read(*running).finished[0]->end, End::Cancelled);
    EXPECT_FALSE(read(*many.front()).error);
}

TEST_F(EngineTest, AFailureEndsOnlyWhatItHit) {
    start({.vocabulary = kByteTokenizerSize, .fail_at_step = 5, .nan_at_step = 12});
    EXPECT_EQ(read(*submit(request("fails", 50))).error->code, Code::DeviceLost);
    EXPECT_EQ(read(*submit(request("not a number", 50))).error->code, Code::Internal);
    EXPECT_EQ(read(*submit(request("fine", 30))).tokens[0], alone("fine", 30));
}

/// All that a reader of the answer sees, but when and from where its prompt came; by choice, since
/// these come in any order.
using Transcript = std::map<uint32_t, std::vector<std::string>>;
Transcript transcript(Generation& log) {
    Transcript out;
    constexpr uint32_t kAll = UINT32_MAX;
    for (uint64_t at = 0;;) {
        wait_for_event(log, at);
        std::vector<Event> events;
        at += log.read(at, 1, events);
        if (const auto* text = std::get_if<Text>(&events[0])) {
            std::string line = text->utf8;
            for (const TokenId token : text->tokens) line += ' ' + std::to_string(token);
            for (const TokenLogprob& one : text->logprobs) {
                line += ' ' + std::to_string(one.id) + ':' + std::to_string(one.logprob);
                for (const auto& top : one.top) line += ',' + std::to_string(top.id);
            }
            out[text->choice].push_back(std::move(line));
        } else if (const auto* end = std::get_if<Finished>(&events[0])) {
            out[end->choice].push_back(std::string(to_string(end->end)) + ' ' + end->stop);
        } else if (const auto* done = std::get_if<Done>(&events[0])) {
            out[kAll].push_back(std::to_string(done->usage.prompt_tokens) + ' ' +
                                std::to_string(done->usage.completion_tokens));
        } else if (const auto* failed = std::get_if<Failed>(&events[0])) {
            out[kAll].push_back(failed->error.message);
        }
        if (is_last(events[0])) return out;
    }
}

/// Requests of every kind, one after another without guesses, and in company with them, in caches
/// so small that sequences give way: the same to the byte.
TEST_F(EngineTest, GuessesChangeNothing) {
    uint64_t drafted = 0, accepted = 0;
    for (uint32_t seed = 0; seed < 60; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
        std::vector<Request> requests;
        for (int i = 0; i < 10; ++i) {
            std::string prompt(1 + below(50), static_cast<char>('a' + below(20)));
            Request r = request(prompt, 1 + below(120));
            r.sampling.temperature = 0.9F * static_cast<float>(below(3));
            r.sampling.seed = below(1000);
            if (below(3) == 0) r.sampling.repetition_penalty = 1.2F;
            if (below(3) == 0) r.sampling.frequency_penalty = 0.5F;
            if (below(3) == 0) r.logprobs = below(4);
            if (below(3) == 0) r.stop = {"cde", "z", "PQR"};
            r.choices = 1 + below(2);
            r.ignore_eos = below(2) == 0;
            requests.push_back(r);
        }
        const FakeSettings fake{.vocabulary = kByteTokenizerSize,
                                .blocks = 16 + below(30),
                                .sequences_max = 1 + below(4),
                                .step_outputs_max = 4 + below(12),
                                .sequence_tokens_max = 200,
                                .step_tokens_max = 8 + below(60),
                                .fixed_slots = seed % 5 == 4,
                                .rollback_max = below(6),
                                .surprise_every = 2 + below(30)};
        std::vector<Transcript> expected;
        start(fake, {.draft_tokens_max = 0});
        for (const Request& r : requests) expected.push_back(transcript(*submit(r)));
        start(fake, {.draft_tokens_max = 1 + below(16)});
        std::vector<std::shared_ptr<Generation>> logs;
        for (size_t i = 0; i < requests.size(); ++i) {
            logs.push_back(submit(requests[i], {.domain = {below(2), 0}}));
            if (below(2) == 0) wait_for_event(*logs.back(), Generation::kAtEnd);
            if (below(3) == 0) submit(requests[i])->cancel();
        }
        for (size_t i = 0; i < requests.size(); ++i)
            ASSERT_EQ(transcript(*logs[i]), expected[i]) << "seed " << seed << ", request " << i;
        expect_all_free();
        const auto counted = [&](const char* kind) {
            return metrics_
                .counter("dunlin_draft_tokens_total", "", {{"model", "fake"}, {"kind", kind}})
                .value();
        };
        drafted = static_cast<uint64_t>(counted("drafted"));
        accepted = static_cast<uint64_t>(counted("accepted"));
    }
    EXPECT_GT(accepted, 3000U);
    EXPECT_GT(drafted - accepted, 300U);
}

/// Everything at once, in tiny caches: choices, cancels, deadlines, failing steps, prompts that can
/// never fit. Every answer ends once, what came of it is right, and every block comes back.
TEST_F(EngineTest, AThousandRandomHistories) {
    for (uint32_t seed = 0; seed < 1000; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
        const bool fails = below(3) == 0;
        start({.vocabulary = kByteTokenizerSize,
               .blocks = 4 + below(61),
               .sequences_max = 1 + below(6),
               .sequence_tokens_max = 300,
               .step_tokens_max = 8 + below(60),
               .fail_at_step = fails ? 1 + below(30) : 0,
               .nan_at_step = fails ? 1 + below(30) : 0},
              {.queue_max = 1 + below(12)});
        struct One {
            Request request;
            bool late;
            std::shared_ptr<Generation> log;
        };
        std::vector<One> all;
        for (int i = 0; i < 8; ++i) {
            Request r = request(std::string(1 + below(60), 'a'), 1 + below(20));
            if (below(10) == 0) r.prompt = std::string(2000, 'a');  // never fits
            r.choices = 1 + below(2);
            Admission admission{.domain = {below(2), 0}};
            const bool late = below(8) == 0;
            if (late) admission.deadline_us = system_clock().now_us() + below(2000);
            auto prepared = engine_->prepare(r, {});
            if (!prepared) {
                EXPECT_EQ(prepared.error().code, Code::TooLong);
                continue;
            }
            const bool cancels = below(6) == 0;
            r.max_tokens = (*prepared)->max_tokens();
            all.push_back({r, late, engine_->submit(std::move(*prepared), admission)});
            if (cancels) all[below(static_cast<uint32_t>(all.size()))].log->cancel();
        }
        for (const One& one : all) {
            const Result result = read(*one.log, one.request.choices);
            const Code code = result.error ? result.error->code : Code::Overloaded;
            EXPECT_TRUE(code == Code::Overloaded || (one.late && code == Code::DeadlineExceeded) ||
                        (fails && (code == Code::DeviceLost || code == Code::Internal)))
                << result.error->message;
            const auto expected = alone(std::get<std::string>(one.request.prompt), 20);
            for (size_t choice = 0; choice < result.tokens.size(); ++choice) {
                const auto& tokens = result.tokens[choice];
                ASSERT_TRUE(std::equal(tokens.begin(), tokens.end(), expected.begin()))
                    << "seed " << seed;
                if (result.error || result.finished[choice]->end == End::Cancelled) continue;
                ASSERT_EQ(tokens.size(), *one.request.max_tokens) << "seed " << seed;
            }
        }
        expect_all_free();
        if (HasFailure()) FAIL() << "seed " << seed;
    }
}

TEST_F(EngineTest, TheQueueCountsEveryChoice) {
    start({.vocabulary = kByteTokenizerSize, .sequences_max = 1, .step_us = 2000},
          {.queue_max = 4});
    const auto running = submit(request("first", 400));
    while (engine_->state().queued > 0) std::this_thread::yield();
    Request r = request("three", 2);
    r.choices = 3;
    const auto three = submit(r);
    const auto refused = submit(r);
    EXPECT_EQ(read(*refused).error->code, Code::Overloaded);
    const auto one = submit(request("one", 2));
    EXPECT_EQ(read(*submit(request("another", 2))).error->code, Code::Overloaded);
    running->cancel();
    EXPECT_FALSE(read(*three, 3).error);
    EXPECT_FALSE(read(*one).error);
    expect_all_free();
}

TEST_F(EngineTest, DrainsAndThenRefuses) {
    start({.vocabulary = kByteTokenizerSize, .step_us = 1000});
    const auto short_one = submit(request("short", 5));
    const auto long_one = submit(request("long", 400));
    engine_->drain(system_clock().now_us() + 100'000);
    EXPECT_FALSE(read(*short_one).error);
    EXPECT_EQ(read(*long_one).error->code, Code::NotReady);
    EXPECT_EQ(read(*submit(request("after", 5))).error->code, Code::NotReady);
}

TEST_F(EngineTest, DrainWaitsForAnAnswerInItsFirstStep) {
    start({.vocabulary = kByteTokenizerSize, .step_us = 100'000});
    const auto log = submit(request("first", 3));
    std::this_thread::sleep_for(std::chrono::milliseconds(30));  // the first step is under way
    EXPECT_EQ(engine_->state().running + engine_->state().queued, 1U);
    engine_->drain(system_clock().now_us() + 10'000'000);
    std::vector<Event> events;
    log->read(0, 100, events);
    ASSERT_FALSE(events.empty());
    EXPECT_TRUE(std::holds_alternative<Done>(events.back()));
}

TEST_F(EngineTest, PreparesOnlyWhatCanFit) {
    start({.vocabulary = kByteTokenizerSize, .blocks = 4});
    const auto refused = engine_->prepare(request(std::string(64, 'x'), 5), {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::TooLong);
    EXPECT_EQ(refused.error().message.find("This model's maximum context length is 64 tokens"), 0U);
    EXPECT_EQ(engine_->prepare(request(std::string(60, 'x'), 50), {}).value()->max_tokens(), 4U);
    EXPECT_EQ(engine_->prepare(request("", 5), {}).error().code, Code::Invalid);
    Request chat = request("", 5);
    Request absurd = request("hi", 5);
    absurd.sampling.min_p = 1.5F;
    EXPECT_EQ(engine_->prepare(absurd, {}).error().param, "min_p");
    chat.prompt = std::vector<Message>{{"user", "hi"}};
    EXPECT_EQ(engine_->prepare(chat, {}).error().code, Code::Unsupported);
}

TEST(StopStrings, HoldsBackOnlyWhatMayBeginOne) {
    StopStrings stops({"END", "\n\n"});
    EXPECT_EQ(stops.push("text E"), "text ");
    EXPECT_EQ(stops.push("N"), "");
    EXPECT_EQ(stops.push("x"), "ENx");
    EXPECT_EQ(stops.push("a\n"), "a");
    EXPECT_EQ(stops.finish(), "\n");
    EXPECT_EQ(stops.push("b\n\nEND"), "b");
    EXPECT_EQ(stops.matched(), "\n\n");
}

TEST(ChatContext, EscapesWhatJsonNeeds) {
    EXPECT_EQ(chat_context({{"user", "a\"\\\n\x01"}, {"assistant", "}"}}),
              "{\"messages\":[{\"role\":\"user\",\"content\":\"a\\\"\\\\\\u000a\\u0001\"},"
              "{\"role\":\"assistant\",\"content\":\"}\"}],\"add_generation_prompt\":true}");
}

}  // namespace
}  // namespace dunlin
