// What a process of its own is for: its end costs the step that it was in, and nothing else.
#include "runner/process/process_runner.h"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <sys/types.h>
#include <unistd.h>

#include "runner/conformance.h"

namespace dunlin::conformance {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(20);

/// The children of the thread that asks.
std::vector<pid_t> children() {
    std::ifstream file("/proc/thread-self/children");
    std::vector<pid_t> out;
    for (pid_t pid = 0; file >> pid;) out.push_back(pid);
    return out;
}

class ProcessRunnerTest : public testing::Test {
 protected:
    static ProcessSettings with(const std::string& spec) {
        return {.command = {DUNLIN_RUNNER_CHILD}, .spec = spec, .name = "the test"};
    }
    ~ProcessRunnerTest() override { std::filesystem::remove(loads_); }
    void start(uint32_t step_us = 0) {
        fake_.step_us = step_us;
        runner_ =
            unwrap(make_process_runner(with("while " + loads_ + " " + spec_of(fake_)), clock_));
        ASSERT_EQ(children().size(), 1U);
    }
    static void kill_child(int signal = SIGABRT) {
        for (const pid_t pid : children()) kill(pid, signal);
    }
    /// Opens a sequence, as a caller does that comes again while there is no room.
    Expected<SeqId> try_open() {
        const auto until = steady_clock::now() + kPatience;
        auto seq = runner_->open({{1, 1}, prompt_, 60});
        while (!seq && seq.error().code == Code::NoRoom && steady_clock::now() < until) {
            std::this_thread::sleep_for(milliseconds(1));
            seq = runner_->open({{1, 1}, prompt_, 60});
        }
        return seq;
    }
    SeqId open() {
        const auto seq = try_open();
        EXPECT_TRUE(seq) << seq.error().message;
        return seq.value_or(0);
    }
    Expected<Step> advance(SeqId seq) {
        const auto rest = std::span(prompt_).subspan(runner_->length(seq));
        const auto until = steady_clock::now() + kPatience;
        while (!runner_->reserve(seq, static_cast<uint32_t>(rest.size())) &&
               steady_clock::now() < until)
            std::this_thread::sleep_for(milliseconds(1));
        const Span span{seq, rest, 1};
        const auto step = runner_->launch({{&span, 1}});
        if (!step) return std::unexpected(step.error());
        return runner_->collect(*step);
    }

    const std::string loads_ =
        (std::filesystem::temp_directory_path() / ("dunlin_loads_" + std::to_string(getpid())))
            .string();
    const std::vector<TokenId> prompt_ = tokens_of(3, 20);
    FakeSettings fake_{.vocabulary = kVocabulary, .sequences_max = 4, .sequence_tokens_max = 96};
    ManualClock clock_;
    std::unique_ptr<Runner> runner_;
};

TEST_F(ProcessRunnerTest, AnEndInMidStepCostsThatStep) {
    start(200'000);
    const SeqId hit = open(), other = open();
    ASSERT_TRUE(advance(other));
    EXPECT_EQ(runner_->length(other), 20U);
    ASSERT_TRUE(runner_->reserve(hit, 20));
    const Span span{hit, prompt_, 1};
    const auto step = runner_->launch({{&span, 1}});
    ASSERT_TRUE(step);
    std::this_thread::sleep_for(milliseconds(50));
    kill_child();
    const auto done = runner_->collect(*step);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::DeviceLost);
    EXPECT_NE(done.error().message.find("signal 6"), std::string::npos) << done.error().message;
    EXPECT_EQ(runner_->length(hit), 0U);
    EXPECT_EQ(runner_->length(other), 0U) << "its state is gone too, and it may go on from there";
    EXPECT_EQ(runner_->room().tokens_free, runner_->room().tokens_total);
    runner_->close(hit, Keep::Nothing);
    const auto next = advance(other);
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_EQ(next->outputs[0].seq, other);
    EXPECT_EQ(runner_->length(other), 20U);
    EXPECT_EQ(children().size(), 1U) << "nothing of the first one is left";
}

TEST_F(ProcessRunnerTest, OneThatEndsAgainAndAgainIsGivenTime) {
    start();
    const SeqId seq = open();
    int64_t waited_ms = 0;
    for (int deaths = 0; deaths < 5; ++deaths) {
        ASSERT_TRUE(advance(seq));
        kill_child(SIGKILL);
        runner_->trim(seq, 0);
        auto tried = try_open();
        if (tried) {
            runner_->close(*tried, Keep::Nothing);
            continue;
        }
        EXPECT_EQ(tried.error().code, Code::DeviceLost);
        EXPECT_NE(tried.error().message.find("signal 9"), std::string::npos)
            << tried.error().message;
        EXPECT_GT(tried.error().retry_ms, waited_ms);
        waited_ms = tried.error().retry_ms;
        clock_.advance_us(waited_ms * 1000);
    }
    EXPECT_GE(waited_ms, 4000);
    clock_.advance_us(120'000'000);
    ASSERT_TRUE(advance(seq));
    clock_.advance_us(120'000'000);  // an age
    kill_child();
    runner_->trim(seq, 0);
    EXPECT_TRUE(advance(seq)) << "what worked for a while comes back at once";
}

TEST_F(ProcessRunnerTest, LoadingThatFailsSaysWhy) {
    const auto refused = make_process_runner(with("refuse"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Corrupt);
    EXPECT_EQ(refused.error().message, "this file is broken");
    const auto ended = make_process_runner(with("check"));
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code, Code::Internal);
    EXPECT_EQ(ended.error().message,
              "the process of the test was ended by signal 6 (Aborted) while it loaded: kind != "
              "\"check\"");
    const auto missing = make_process_runner({.command = {"/none"}, .spec = "x", .name = "x"});
    EXPECT_EQ(missing.error().code, Code::Io);
    EXPECT_TRUE(children().empty());
}

TEST_F(ProcessRunnerTest, NothingStaysBehind) {
    start(2'000'000);
    const SeqId seq = open();
    ASSERT_TRUE(runner_->reserve(seq, 20));
    const Span span{seq, prompt_, 1};
    ASSERT_TRUE(runner_->launch({{&span, 1}}));
    const auto began = steady_clock::now();
    runner_.reset();  // in the middle of a step
    EXPECT_LT(steady_clock::now() - began, milliseconds(1500));
    EXPECT_TRUE(children().empty());
}

TEST_F(ProcessRunnerTest, NobodyWaitsWhileItLoadsAgain) {
    start();
    const SeqId before = open();
    ASSERT_TRUE(advance(before));
    std::ofstream(loads_).flush();
    kill_child(SIGKILL);
    runner_->trim(before, 0);
    const auto began = steady_clock::now();
    for (int i = 0; i < 10; ++i) {
        const auto refused = runner_->open({{1, 1}, prompt_, 60});
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::NoRoom);
        EXPECT_EQ(refused.error().message, "the process of the test is being started");
        EXPECT_FALSE(runner_->reserve(before, 20));
        EXPECT_EQ(runner_->match(before).length, 0U);
    }
    const Span span{before, prompt_, 1};
    EXPECT_EQ(runner_->launch({{&span, 1}}).error().code, Code::DeviceLost);
    EXPECT_LT(steady_clock::now() - began, std::chrono::seconds(1));
    EXPECT_EQ(children().size(), 1U) << "one is started, however often it is asked for";
    std::filesystem::remove(loads_);
    EXPECT_TRUE(advance(before));
    EXPECT_TRUE(advance(open()));
}

TEST_F(ProcessRunnerTest, NothingStaysBehindOfOneThatLoads) {
    start();
    const SeqId seq = open();
    std::ofstream(loads_).flush();
    kill_child(SIGKILL);
    runner_->trim(seq, 0);
    EXPECT_FALSE(runner_->reserve(seq, 20));
    ASSERT_EQ(children().size(), 1U);
    const auto began = steady_clock::now();
    runner_.reset();
    EXPECT_LT(steady_clock::now() - began, milliseconds(1500));
    EXPECT_TRUE(children().empty());
}

TEST_F(ProcessRunnerTest, ProgressIsSeenFromHere) {
    start();
    const SeqId seq = open();
    const uint64_t before = runner_->progress();
    ASSERT_TRUE(advance(seq));
    EXPECT_GT(runner_->progress(), before);
}

#ifdef DUNLIN_LLAMACPP
TEST_F(ProcessRunnerTest, AFileThatChangesIsLoadedAnew) {
    const std::string path = testing::TempDir() + "changes_" + std::to_string(getpid());
    const auto put_there = [&](const char* file) {
        std::this_thread::sleep_for(milliseconds(20));  // coarser clocks exist
        std::ofstream(path, std::ios::binary)
            << (file ? std::ifstream(tiny(file), std::ios::binary).rdbuf() : nullptr);
    };
    put_there("tiny_plain.gguf");
    runner_ = unwrap(make_process_runner(with("llama.cpp " + path + " 96 4 24"), clock_));
    const SeqId seq = open();
    ASSERT_TRUE(advance(seq));
    put_there("tiny_plain.gguf");
    runner_->trim(seq, 0);
    const auto noticed = advance(seq);
    ASSERT_FALSE(noticed);
    EXPECT_EQ(noticed.error().code, Code::DeviceLost);
    EXPECT_NE(noticed.error().message.find("changed while it was in use"), std::string::npos);
    EXPECT_EQ(runner_->length(seq), 0U);
    ASSERT_TRUE(advance(seq)) << "what is there now is loaded at once";

    put_there(nullptr);
    runner_->trim(seq, 0);
    EXPECT_FALSE(advance(seq));
    const auto empty = advance(seq);
    ASSERT_FALSE(empty);
    EXPECT_EQ(empty.error().code, Code::DeviceLost);
    EXPECT_NE(empty.error().message.find("this is not a GGUF file"), std::string::npos);
    EXPECT_GT(empty.error().retry_ms, 0);
    put_there("tiny_plain.gguf");
    EXPECT_FALSE(advance(seq)) << "not before the time that was named";
    clock_.advance_us(empty.error().retry_ms * 1000);
    EXPECT_TRUE(advance(seq));

    put_there("tiny_sliding.gguf");
    runner_->trim(seq, 0);
    EXPECT_FALSE(advance(seq));
    std::filesystem::remove(path);
}

TEST_F(ProcessRunnerTest, MemoryIsSeenFromHere) {
    runner_ = make_hosted("llama.cpp " + tiny("tiny_plain.gguf") + " 96 4 24");
    const SeqId seq = open();
    ASSERT_TRUE(advance(seq));
    const MemoryReport memory = runner_->memory();
    EXPECT_GT(memory.weights_bytes, 0U);
    EXPECT_GT(memory.kv_used_bytes, 0U);
    EXPECT_LE(memory.kv_used_bytes, memory.kv_total_bytes);
}
#endif

}  // namespace
}  // namespace dunlin::conformance
