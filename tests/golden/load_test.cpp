// The same answer at any load, on the default model: seeded cells of the matrix of companions,
// chunk sizes, threads, cached prefixes and instruction sets, each compared bit for bit with the
// same prompt alone. The full matrix runs on a small model (src/runner/native).
//
// usage: load_test DEFAULT_MODEL.gguf

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "engine/local_engine.h"
#include "formats/gguf.h"
#include "formats/model_config.h"
#include "gtest/gtest.h"
#include "kernels/isa.h"
#include "runner/native/native_runner.h"
#include "sampling/sampler.h"

namespace dunlin {
namespace {

std::string default_model;

constexpr uint32_t kCells = 24;
constexpr uint32_t kAnswer = 6;
constexpr uint32_t kMatesMax = 31;
constexpr double kSecondsMax = 90;  // of processor time: other work on the machine does not count

struct File {
    File() {
        auto opened = GgufFile::open(default_model);
        EXPECT_TRUE(opened) << opened.error().message;
        gguf = std::move(*opened);
        config = *model_config_from_gguf(*gguf);
    }
    std::unique_ptr<Runner> runner(Isa isa, uint32_t threads) const {
        setenv("DUNLIN_ISA", std::string(to_string(isa)).c_str(), 1);
        auto made = make_native_runner(
            config, *gguf, {.threads = threads, .kv_tokens = 64 * 128, .context_tokens_max = 1024});
        unsetenv("DUNLIN_ISA");
        EXPECT_TRUE(made) << made.error().message;
        return std::move(*made);
    }
    std::unique_ptr<GgufFile> gguf;
    ModelConfig config;
};

std::vector<TokenId> prompt_of(uint32_t seed, uint32_t length, uint32_t vocabulary) {
    std::mt19937 random(seed);
    std::vector<TokenId> tokens(length);
    for (TokenId& token : tokens) token = static_cast<TokenId>(random() % vocabulary);
    return tokens;
}

/// What a sequence gave: tokens drawn at temperature 1 under a seed, and the logits behind them.
struct Answer {
    std::vector<TokenId> tokens;
    std::vector<std::vector<float>> logits;
    bool operator==(const Answer&) const = default;
};

/// Companions that decode a token in every step.
struct Mates {
    Mates(Runner& r, uint32_t count, uint32_t seed) : runner(r) {
        for (uint32_t i = 0; i < count; ++i) {
            const auto prompt = prompt_of(seed + i, 1 + i % 7, runner.capabilities().vocabulary);
            seqs.push_back(*runner.open({{9, i}, prompt, 128}));
            tokens.push_back(static_cast<TokenId>(i));
            EXPECT_TRUE(runner.reserve(seqs.back(), static_cast<uint32_t>(prompt.size())));
            const Span span{seqs.back(), prompt, 0};
            EXPECT_TRUE(runner.launch({{&span, 1}}));
        }
    }
    ~Mates() {
        for (const SeqId seq : seqs) runner.close(seq, Keep::Nothing);
    }
    void join(std::vector<Span>& spans) {
        for (size_t i = 0; i < seqs.size(); ++i)
            if (runner.reserve(seqs[i], 1)) spans.push_back({seqs[i], {&tokens[i], 1}, 1});
    }
    Runner& runner;
    std::vector<SeqId> seqs;
    std::vector<TokenId> tokens;
};

Answer answer(Runner& runner, std::vector<TokenId> tokens, uint32_t chunk, Mates& mates,
              Digest domain, Keep keep) {
    const auto seq = runner.open({domain, tokens, static_cast<uint32_t>(tokens.size()) + kAnswer});
    EXPECT_TRUE(seq);
    runner.match(*seq);
    Sampler sampler({.temperature = 1, .seed = tokens[0]});
    Answer out;
    while (out.tokens.size() < kAnswer) {
        const uint32_t done = runner.length(*seq);
        const auto left = static_cast<uint32_t>(tokens.size()) - done;
        const uint32_t count = std::min(left, chunk);
        EXPECT_TRUE(runner.reserve(*seq, count));
        std::vector<Span> spans;
        mates.join(spans);
        spans.insert(spans.begin() + static_cast<long>(spans.size() / 2),
                     Span{*seq, std::span(tokens).subspan(done, count), count == left ? 1U : 0U});
        const auto step = runner.launch({spans});
        if (!step) {
            ADD_FAILURE() << step.error().message;
            break;
        }
        for (const Output& output : runner.collect(*step)->outputs) {
            if (output.seq != *seq) continue;
            out.logits.emplace_back(output.logits.begin(), output.logits.end());
            out.tokens.push_back(sampler.next(output.logits));
            tokens.push_back(out.tokens.back());
        }
    }
    runner.close(*seq, keep);
    return out;
}

TEST(SameAtAnyLoad, SeededCellsOfTheDefaultModel) {
    const std::clock_t begin = std::clock();
    const auto spent_s = [&] { return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC; };
    const File file;
    const uint32_t vocabulary = file.config.vocab_size;
    const auto isas = available_isas();
    std::map<std::pair<Isa, uint32_t>, std::unique_ptr<Runner>> runners;
    const auto runner = [&](Isa isa, uint32_t threads) -> Runner& {
        auto& made = runners[{isa, threads}];
        if (!made) made = file.runner(isa, threads);
        return *made;
    };
    // Prompts of up to three attention spans; portable code is slow and gets a short one.
    const uint32_t lengths[] = {21, 150, 300, 530};
    std::vector<Answer> expected;
    for (uint32_t i = 0; i < std::size(lengths); ++i) {
        Runner& alone = runner(isas.back(), 1);
        Mates nobody(alone, 0, 0);
        expected.push_back(answer(alone, prompt_of(i, lengths[i], vocabulary), 512, nobody, {1, i},
                                  Keep::Nothing));
    }
    std::mt19937 random(20);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    const uint32_t chunks[] = {1, 3, 16, 31, 64, 255, 512};
    for (uint32_t cell = 0; cell < kCells; ++cell) {
        // Portable code is slow: every sixth cell.
        const Isa isa = cell % 6 == 5 ? Isa::Portable : isas[isas.size() - 1 - cell % 6 % 2];
        const uint32_t which = isa == Isa::Portable ? 0 : below(4);
        const uint32_t length = lengths[which];
        uint32_t chunk = chunks[below(std::size(chunks))];
        if (length > 100) chunk = std::max(chunk, 16U);
        const uint32_t mates_max = isa == Isa::Portable ? 4 : kMatesMax;
        const uint32_t mate_count = cell % 4 == 0 ? 0 : 1 + below(mates_max);
        const uint32_t threads = 1 + below(2);
        const bool cached = below(2) == 0;
        Runner& here = runner(isa, threads);
        Mates mates(here, mate_count, 1000 + cell * 50);
        const auto prompt = prompt_of(which, length, vocabulary);
        if (cached) {  // leave some of the prompt's beginning in the cache
            Mates nobody(here, 0, 0);
            auto beginning = prompt;
            beginning.resize(1 + below(length));
            answer(here, beginning, 512, nobody, {2, cell}, Keep::Cached);
        }
        const Answer found = answer(here, prompt, chunk, mates, {2, cell}, Keep::Nothing);
        ASSERT_TRUE(found == expected[which])
            << "cell " << cell << ": " << to_string(isa) << ", prompt " << length << ", chunk "
            << chunk << ", mates " << mate_count << ", threads " << threads << ", cached "
            << cached;
    }
    std::printf("%u cells in %.1f s of processor time, instruction sets:", kCells, spent_s());
    for (const Isa isa : isas) std::printf(" %s", std::string(to_string(isa)).c_str());
    std::printf("\n");
    EXPECT_LT(spent_s(), kSecondsMax);
}

/// Ids are all that matters here: every token is the letter x.
class IdTokenizer final : public Tokenizer {
 public:
    explicit IdTokenizer(uint32_t size) : size_(size) {}
    uint32_t size() const override { return size_; }
    TokenId bos() const override { return -1; }
    TokenId eos() const override { return -1; }
    Expected<std::vector<TokenId>> encode(std::string_view, EncodeOptions) const override {
        return fail(Code::Unsupported, "give ids");
    }
    Expected<std::string> decode(std::span<const TokenId> ids) const override {
        return std::string(ids.size(), 'x');
    }
    std::string_view token_bytes(TokenId) const override { return "x"; }
    TokenKind token_kind(TokenId) const override { return TokenKind::Normal; }
    TokenId token_id(std::string_view) const override { return -1; }

 private:
    uint32_t size_;
};

struct EngineAnswer {
    std::vector<TokenId> tokens;
    std::vector<float> logprobs;
    bool operator==(const EngineAnswer&) const = default;
};

EngineAnswer read(Generation& log) {
    EngineAnswer out;
    for (uint64_t at = 0;; ++at) {
        wait_for_event(log, at);
        std::vector<Event> events;
        log.read(at, 1, events);
        if (const auto* text = std::get_if<Text>(&events.at(0))) {
            out.tokens.insert(out.tokens.end(), text->tokens.begin(), text->tokens.end());
            for (const auto& one : text->logprobs) out.logprobs.push_back(one.logprob);
        }
        if (const auto* failed = std::get_if<Failed>(&events.at(0))) {
            ADD_FAILURE() << failed->error.message;
            return out;
        }
        if (std::holds_alternative<Done>(events.at(0))) return out;
    }
}

/// Through scheduler, sampler and log: requests at temperature 1 with seeds, one after another and
/// all at once; in company the scheduler cuts and mixes them as time makes it.
TEST(SameAtAnyLoad, SampledThroughTheWholeEngine) {
    const File file;
    const uint32_t vocabulary = file.config.vocab_size;
    Metrics metrics;
    const auto engine = make_engine(file.runner(available_isas().back(), 2),
                                    std::make_shared<IdTokenizer>(vocabulary), nullptr,
                                    {.model = "default"}, system_clock(), metrics);
    constexpr uint32_t kRequests = 12;
    const auto submit = [&](uint32_t i, uint64_t domain) {
        Request request;
        request.prompt = prompt_of(500 + i / 2, 5 + i * 17, vocabulary);
        request.max_tokens = 12;
        request.sampling.seed = i;
        request.sampling.top_p = i % 3 == 0 ? 0.9F : 1.0F;
        request.logprobs = 0;
        return engine->submit(*engine->prepare(request, {}), {.domain = {domain, 0}});
    };
    std::vector<EngineAnswer> alone;
    for (uint32_t i = 0; i < kRequests; ++i) alone.push_back(read(*submit(i, 100 + i)));
    for (uint64_t domain = 0; domain < 2; ++domain) {
        std::vector<std::shared_ptr<Generation>> together;
        for (uint32_t i = 0; i < kRequests; ++i)
            together.push_back(submit((i * 5 + 3) % kRequests, domain));
        for (uint32_t i = 0; i < kRequests; ++i) {
            const auto found = read(*together[i]);
            EXPECT_EQ(found.tokens.size(), 12U);
            EXPECT_TRUE(found == alone[(i * 5 + 3) % kRequests]) << "request " << i;
        }
    }
}

/// Prompts that say the same several times, so that the model goes on quoting: with guesses, alone
/// and in company, the tokens and logprobs that it gives without.
TEST(SameAtAnyLoad, GuessedAheadThroughTheWholeEngine) {
    const File file;
    Metrics metrics;
    const auto make = [&](uint32_t draft_tokens_max) {
        return make_engine(file.runner(available_isas().back(), 2),
                           std::make_shared<IdTokenizer>(file.config.vocab_size), nullptr,
                           {.model = "default", .draft_tokens_max = draft_tokens_max},
                           system_clock(), metrics);
    };
    const auto counted = [&](const char* kind) {
        return metrics
            .counter("dunlin_draft_tokens_total", "", {{"model", "default"}, {"kind", kind}})
            .value();
    };
    constexpr uint32_t kRequests = 8;
    const auto submit = [&](Engine& engine, uint32_t i, uint64_t domain) {
        const auto once = prompt_of(700 + i, 20 + i * 3, file.config.vocab_size);
        std::vector<TokenId> prompt;
        for (int n = 0; n < 4; ++n) prompt.insert(prompt.end(), once.begin(), once.end());
        Request request;
        request.prompt = std::move(prompt);
        request.max_tokens = 40;
        request.sampling.seed = i;
        request.sampling.temperature = 0.4F * static_cast<float>(i % 3);
        request.sampling.frequency_penalty = i % 4 == 3 ? 0.3F : 0.0F;
        request.logprobs = 2;
        return engine.submit(*engine.prepare(request, {}), {.domain = {domain, 0}});
    };
    std::vector<EngineAnswer> expected;
    {
        const auto without = make(0);
        for (uint32_t i = 0; i < kRequests; ++i) expected.push_back(read(*submit(*without, i, i)));
    }
    EXPECT_EQ(counted("drafted"), 0);
    const auto with = make(8);
    for (uint32_t i = 0; i < kRequests; ++i)
        EXPECT_TRUE(read(*submit(*with, i, i)) == expected[i]) << "request " << i;
    const auto alone = counted("accepted");
    std::vector<std::shared_ptr<Generation>> together;
    for (uint32_t i = 0; i < kRequests; ++i) together.push_back(submit(*with, i, 100));
    for (uint32_t i = 0; i < kRequests; ++i)
        EXPECT_TRUE(read(*together[i]) == expected[i]) << "request " << i << " in company";
    std::printf("%.0f guesses of 640 tokens, %.0f right\n", static_cast<double>(counted("drafted")),
                static_cast<double>(counted("accepted")));
    EXPECT_GT(alone, 30);
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 2) {
        std::fprintf(stderr, "usage: load_test DEFAULT_MODEL.gguf\n");
        return 2;
    }
    dunlin::default_model = argv[1];
    return RUN_ALL_TESTS();
}
