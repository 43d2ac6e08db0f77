// Our engine and llama.cpp on the same file, each beside transformers on the same weights in f32:
// along the answers that transformers gave, each must choose the same token wherever its choice is
// clear, and find the golden text about as likely. The two are not held to each other: where they
// part, this says which of them left the truth. Prints what it measured, because the figures are
// the interesting part.
//
// usage: parity_test GOLDEN_FOLDER DEFAULT_MODEL.gguf

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "formats/gguf.h"
#include "formats/model_config.h"
#include "golden/golden.h"
#include "gtest/gtest.h"
#include "json/json.h"
#include "runner/llamacpp/llamacpp_runner.h"
#include "runner/native/native_runner.h"

namespace dunlin {
namespace {

constexpr uint32_t kContext = 4096;

/// A choice is clear where an engine prefers its token by more than this. Both multiply 8-bit
/// activations; ours keeps the outliers among them exact, so less is a clear choice of ours.
constexpr float kOurClearLead = 0.1F, kTheirClearLead = 0.5F, kSlightLead = 0.05F;

std::string golden_folder, model_path;

Json golden() {
    return read_golden(golden_folder + "/smollm2_135m_q4_1.json");
}

std::unique_ptr<Runner> unwrap(Expected<std::unique_ptr<Runner>> made) {
    EXPECT_TRUE(made) << made.error().message;
    return made ? std::move(*made) : nullptr;
}

std::unique_ptr<Runner> native() {
    const auto file = GgufFile::open(model_path);
    EXPECT_TRUE(file) << file.error().message;
    const auto config = model_config_from_gguf(**file);
    EXPECT_TRUE(config) << config.error().message;
    return unwrap(make_native_runner(
        *config, **file, {.threads = 1, .kv_tokens = kContext, .context_tokens_max = kContext}));
}

std::unique_ptr<Runner> llamacpp(FlashAttention flash) {
    return unwrap(make_llamacpp_runner(model_path, {.threads = 1,
                                                    .sequences_max = 1,
                                                    .step_outputs_max = 64,
                                                    .context_tokens_max = kContext,
                                                    .flash_attention = flash}));
}

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

double perplexity(Runner& runner, std::span<const TokenId> tokens) {
    double sum = 0;
    compute(runner, tokens, [&](uint32_t at, std::span<const float> logits) {
        if (at + 1 == tokens.size()) return;
        sum += log_sum(logits) - static_cast<double>(logits[static_cast<size_t>(tokens[at + 1])]);
    });
    return std::exp(sum / static_cast<double>(tokens.size() - 1));
}

struct Choice {
    TokenId token = 0;
    float lead = 0;  // over the second
};

std::vector<Choice> choices(Runner& runner, std::span<const TokenId> tokens, size_t from) {
    std::vector<Choice> out;
    compute(runner, tokens, [&](uint32_t at, std::span<const float> logits) {
        if (at + 1 < from) return;
        const auto best = std::max_element(logits.begin(), logits.end());
        float second = -INFINITY;
        for (auto it = logits.begin(); it != logits.end(); ++it)
            if (it != best) second = std::max(second, *it);
        out.push_back({static_cast<TokenId>(best - logits.begin()), *best - second});
    });
    return out;
}

TEST(Parity, PerplexityOfTheGoldenText) {
    const Json json = golden();
    const auto tokens = ids(*json.find("text_tokens"));
    const double truth = json.find("perplexity")->number();
    const auto show = [&](const char* who, double value) {
        std::printf("perplexity %-32s %.5f  %+.2f %%\n", who, value, 100 * (value / truth - 1));
        return value;
    };
    show("transformers, f32", truth);
    const double ours = show("native", perplexity(*native(), tokens));
    const double off =
        show("llama.cpp, flash attention off", perplexity(*llamacpp(FlashAttention::Off), tokens));
    const double on =
        show("llama.cpp, flash attention on", perplexity(*llamacpp(FlashAttention::On), tokens));
    EXPECT_NEAR(ours / truth, 1.0, 0.005);
    EXPECT_NEAR(off / truth, 1.0, 0.02);
    EXPECT_NEAR(on / truth, 1.0, 0.02);
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

TEST(Parity, TheSameTokenWhereverTheChoiceIsClear) {
    const Json json = golden();
    const auto ours = native(), theirs = llamacpp(FlashAttention::Off);
    size_t rows = 0;
    Differences both, native_truth, llamacpp_truth;
    for (const Json& prompt : *json.find("prompts")->array()) {
        auto tokens = ids(*prompt.find("tokens"));
        const size_t from = tokens.size();
        const auto answer = ids(*prompt.find("greedy"));
        tokens.insert(tokens.end(), answer.begin(), answer.end() - 1);
        const auto a = choices(*ours, tokens, from), b = choices(*theirs, tokens, from);
        ASSERT_EQ(a.size(), answer.size());
        ASSERT_EQ(b.size(), answer.size());
        for (size_t i = 0; i < answer.size(); ++i) {
            ++rows;
            if (a[i].token != b[i].token) both.add(std::min(a[i].lead, b[i].lead));
            if (a[i].token != answer[i]) native_truth.add(a[i].lead);
            if (b[i].token != answer[i]) llamacpp_truth.add(b[i].lead);
        }
    }
    both.print("native and llama.cpp:", rows);
    native_truth.print("native and transformers:", rows);
    llamacpp_truth.print("llama.cpp and transformers:", rows);
    EXPECT_LE(native_truth.largest_lead, kOurClearLead);
    EXPECT_LE(llamacpp_truth.largest_lead, kTheirClearLead);
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 3) {
        std::fprintf(stderr, "usage: parity_test GOLDEN_FOLDER DEFAULT_MODEL.gguf\n");
        return 2;
    }
    dunlin::golden_folder = argv[1];
    dunlin::model_path = argv[2];
    return RUN_ALL_TESTS();
}
