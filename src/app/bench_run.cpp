#include "app/bench_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <thread>

#include "app/bench_machine.h"
#include "app/hosted_runner.h"
#include "base/check.h"
#include "formats/gguf.h"
#include "formats/model_config.h"
#include "runner/llamacpp/llamacpp_runner.h"
#include "runner/native/native_runner.h"

namespace dunlin {
namespace {

constexpr uint32_t kStepTokens = 512;

/// An engine in one setting, ready to run.
struct Entrant {
    std::string engine, setting;
    std::unique_ptr<Runner> runner;
    std::vector<SeqId> open;  // for decode: one a stream, the prompt computed
    std::vector<double> tokens_per_s;
};

/// One test: what is measured, with how many streams, and at which depth.
struct Test {
    BenchKind kind;
    uint32_t streams, context;
};

/// Tokens that a stream of the test holds at its end.
uint32_t room_of(const BenchPlan& plan, const Test& test) {
    return test.kind == BenchKind::Decode ? test.context + plan.generate : plan.prompt;
}

Expected<std::unique_ptr<Runner>> make_native(const BenchPlan& plan, const Test& test) {
    const auto file = GgufFile::open(plan.model);
    if (!file) return std::unexpected(file.error());
    const auto config = model_config_from_gguf(**file);
    if (!config) return std::unexpected(config.error());
    return make_native_runner(*config, **file,
                              {.threads = plan.threads,
                               .kv_tokens = uint64_t{room_of(plan, test) + 16} * test.streams,
                               .kv_type = plan.kv_type,
                               .sequences_max = test.streams,
                               .step_tokens_max = kStepTokens,
                               .context_tokens_max = room_of(plan, test)});
}

/// Every setting in which an engine takes part.
Expected<std::vector<Entrant>> make_entrants(const BenchPlan& plan, const Test& test) {
    std::vector<Entrant> entrants;
    const auto enter = [&](std::string engine, std::string setting,
                           Expected<std::unique_ptr<Runner>> made) -> std::optional<Error> {
        if (!made) return made.error();
        entrants.push_back({std::move(engine), std::move(setting), std::move(*made), {}, {}});
        return std::nullopt;
    };
    for (const std::string& engine : plan.engines) {
        std::optional<Error> failed;
        if (engine == "native") {
            failed = enter(engine, "", make_native(plan, test));
        } else if (engine == "llama.cpp" || engine == "llama.cpp-process") {
            const auto make = engine == "llama.cpp" ? make_llamacpp_runner : make_hosted_llamacpp;
            // Without flash attention it has no 8-bit values.
            for (const FlashAttention flash : {FlashAttention::Off, FlashAttention::On})
                if (!failed && (flash == FlashAttention::On || plan.kv_type == KvType::F16))
                    failed = enter(
                        engine,
                        flash == FlashAttention::On ? "flash attention on" : "flash attention off",
                        make(plan.model, {.threads = plan.threads,
                                          .sequences_max = test.streams,
                                          .step_tokens_max = kStepTokens,
                                          .context_tokens_max = room_of(plan, test),
                                          .flash_attention = flash,
                                          .kv_type = plan.kv_type}));
        } else {
            failed = Error{Code::Invalid, "no engine is called '" + engine +
                                              "'; there are native, llama.cpp and "
                                              "llama.cpp-process"};
        }
        if (failed) return std::unexpected(std::move(*failed));
    }
    return entrants;
}

/// Arbitrary tokens, the same for every engine.
std::vector<TokenId> tokens_for(const Runner& runner, uint32_t stream, uint32_t count) {
    std::vector<TokenId> tokens(count);
    uint64_t state = 0x9e3779b97f4a7c15ULL * (stream + 1);
    for (TokenId& token : tokens) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        token = static_cast<TokenId>((state >> 33) % runner.capabilities().vocabulary);
    }
    return tokens;
}

std::optional<Error> step(Runner& runner, std::span<const Span> spans) {
    for (const Span& span : spans)
        if (!runner.reserve(span.seq, static_cast<uint32_t>(span.tokens.size())))
            return Error{Code::NoRoom, "the engine has no room for the benchmark's tokens"};
    const auto launched = runner.launch({spans});
    if (!launched) return launched.error();
    const auto done = runner.collect(*launched);
    return done ? std::nullopt : std::optional(done.error());
}

std::optional<Error> prefill(Runner& runner, SeqId seq, std::span<const TokenId> tokens) {
    while (!tokens.empty()) {
        const size_t count = std::min<size_t>(tokens.size(), runner.capabilities().step_tokens_max);
        const Span span{seq, tokens.first(count), tokens.size() == count ? 1U : 0U};
        if (auto failed = step(runner, {&span, 1})) return failed;
        tokens = tokens.subspan(count);
    }
    return std::nullopt;
}

/// The seconds that one sequence's prompt takes.
Expected<double> time_prefill(Entrant& entrant, const BenchPlan& plan) {
    Runner& runner = *entrant.runner;
    const auto tokens = tokens_for(runner, 0, plan.prompt);
    const auto seq = runner.open({{}, tokens, plan.prompt});
    if (!seq) return std::unexpected(seq.error());
    const auto begin = std::chrono::steady_clock::now();
    const auto failed = prefill(runner, *seq, tokens);
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    runner.close(*seq, Keep::Nothing);
    if (failed) return std::unexpected(*failed);
    return spent.count();
}

std::optional<Error> open_streams(Entrant& entrant, const BenchPlan& plan, uint32_t streams,
                                  uint32_t depth) {
    Runner& runner = *entrant.runner;
    for (uint32_t i = 0; i < streams; ++i) {
        const auto tokens = tokens_for(runner, i, depth);
        const auto seq = runner.open({{0, i}, tokens, depth + plan.generate});
        if (!seq) return seq.error();
        if (auto failed = prefill(runner, *seq, tokens)) return failed;
        entrant.open.push_back(*seq);
    }
    return std::nullopt;
}

/// The seconds that `generate` steps take, each with one token of every stream. The streams then
/// go back to where they were.
Expected<double> time_decode(Entrant& entrant, const BenchPlan& plan, uint32_t depth) {
    Runner& runner = *entrant.runner;
    const auto tokens = tokens_for(runner, 1000, plan.generate);
    const auto begin = std::chrono::steady_clock::now();
    for (const TokenId& token : tokens) {
        std::vector<Span> spans;
        for (const SeqId seq : entrant.open) spans.push_back({seq, {&token, 1}, 1});
        if (auto failed = step(runner, spans)) return std::unexpected(*failed);
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    for (const SeqId seq : entrant.open)
        if (runner.trim(seq, depth) != depth)
            return fail(Code::Unsupported, "the engine cannot go back to the prompt's end");
    return spent.count();
}

/// One test with all its entrants; appends the best setting of each engine.
std::optional<Error> run_test(const BenchPlan& plan, const Test& test,
                              const BenchProgress& progress, std::vector<BenchResult>& results) {
    const auto [kind, streams, depth] = test;
    const bool decode = kind == BenchKind::Decode;
    const std::string what = decode ? "decode after " + std::to_string(depth) + " tokens, " +
                                          std::to_string(streams) + " streams"
                                    : "prefill, " + std::to_string(plan.prompt) + " tokens";
    progress(what + ": loading", 0, 1);
    auto entrants = make_entrants(plan, test);
    if (!entrants) return entrants.error();
    const auto total = static_cast<uint32_t>(entrants->size()) * (plan.repeat + 1);
    uint32_t done = 0;
    const double tokens = decode ? 1.0 * plan.generate * streams : 1.0 * plan.prompt;
    for (uint32_t round = 0; round <= plan.repeat; ++round) {
        for (Entrant& entrant : *entrants) {
            progress(what + ": " + entrant.engine + " " + entrant.setting, done++, total);
            if (round == 0 && decode)
                if (auto failed = open_streams(entrant, plan, streams, depth)) return failed;
            wait_until_idle();
            const auto seconds =
                decode ? time_decode(entrant, plan, depth) : time_prefill(entrant, plan);
            if (!seconds) return seconds.error();
            // The first round warms up: pages, caches and clocks.
            if (round > 0) entrant.tokens_per_s.push_back(tokens / *seconds);
        }
    }
    for (const std::string& engine : plan.engines) {
        std::optional<BenchResult> best;
        for (Entrant& entrant : *entrants) {
            if (entrant.engine != engine) continue;
            std::sort(entrant.tokens_per_s.begin(), entrant.tokens_per_s.end());
            BenchResult result{engine, entrant.setting, kind, streams, depth, entrant.tokens_per_s};
            if (!best || result.median() > best->median()) best = std::move(result);
        }
        CHECK(best);
        progress(what + ": " + engine + " " + best->setting + " " +
                     std::to_string(std::lround(best->median())) + " tokens/s",
                 total, total);
        results.push_back(std::move(*best));
    }
    return std::nullopt;
}

}  // namespace

double BenchResult::median() const {
    const size_t middle = tokens_per_s.size() / 2;
    if (tokens_per_s.size() % 2 == 1) return tokens_per_s[middle];
    return (tokens_per_s[middle - 1] + tokens_per_s[middle]) / 2;
}

Expected<std::vector<BenchResult>> run_bench(const BenchPlan& asked,
                                             const BenchProgress& progress) {
    BenchPlan plan = asked;
    if (plan.threads == 0) plan.threads = std::max(1U, std::thread::hardware_concurrency());
    std::vector<BenchResult> results;
    std::vector<Test> tests{{BenchKind::Prefill, 1, 0}};
    for (const uint32_t streams : plan.streams)
        for (const uint32_t context : plan.contexts)
            tests.push_back({BenchKind::Decode, streams,
                             context > 0   ? context
                             : streams > 1 ? plan.prompt
                                           : 0});
    for (const Test& test : tests)
        if (auto failed = run_test(plan, test, progress, results))
            return std::unexpected(std::move(*failed));
    return results;
}

}  // namespace dunlin
