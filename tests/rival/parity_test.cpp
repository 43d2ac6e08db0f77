// Our engine and llama.cpp on the same file, each beside transformers on the same weights in f32:
// along the answers that transformers gave, each must choose the same token wherever its choice is
// clear, and find the golden text about as likely. The two are not held to each other: where they
// part, this says which of them left the truth. Prints what it measured, because the figures are
// the interesting part.
//
// The small models of random weights have no such text, so there the two are held to each other.
//
// usage: parity_test GOLDEN_FOLDER DEFAULT_MODEL.gguf DATA_FOLDER

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <set>

#include "formats/gguf.h"
#include "formats/model_config.h"
#include "golden/golden.h"
#include "gtest/gtest.h"
#include "json/json.h"
#include "models/model.h"
#include "rival/choices.h"
#include "runner/llamacpp/llamacpp_runner.h"
#include "runner/native/native_runner.h"

namespace dunlin {
namespace {

constexpr uint32_t kContext = 4096, kTinyAnswer = 64;

/// A choice is clear where an engine prefers its token by more than this. Both multiply 8-bit
/// activations; ours keeps the outliers among them exact, so less is a clear choice of ours.
constexpr float kOurClearLead = 0.1F, kTheirClearLead = 0.5F;

std::string golden_folder, model_path, data_folder;

Json golden() {
    return read_golden(golden_folder + "/smollm2_135m_q4_1.json");
}

std::unique_ptr<Runner> unwrap(Expected<std::unique_ptr<Runner>> made) {
    EXPECT_TRUE(made) << made.error().message;
    return made ? std::move(*made) : nullptr;
}

std::unique_ptr<Runner> native(const std::string& path = model_path) {
    const auto file = GgufFile::open(path);
    EXPECT_TRUE(file) << file.error().message;
    const auto config = model_config_from_gguf(**file);
    EXPECT_TRUE(config) << config.error().message;
    return unwrap(make_native_runner(
        *config, **file,
        {.threads = 1,
         .kv_tokens = kContext,
         .context_tokens_max = std::min(kContext, config->max_position_embeddings)}));
}

std::unique_ptr<Runner> llamacpp(FlashAttention flash, const std::string& path = model_path) {
    return unwrap(make_llamacpp_runner(path, {.threads = 1,
                                              .sequences_max = 1,
                                              .step_outputs_max = 64,
                                              .context_tokens_max = kContext,
                                              .flash_attention = flash}));
}

double perplexity(Runner& runner, std::span<const TokenId> tokens) {
    double sum = 0;
    compute(runner, tokens, [&](uint32_t at, std::span<const float> logits) {
        if (at + 1 == tokens.size()) return;
        sum += log_sum(logits) - static_cast<double>(logits[static_cast<size_t>(tokens[at + 1])]);
    });
    return std::exp(sum / static_cast<double>(tokens.size() - 1));
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

/// The tiny models of architectures that native has, and the names of those architectures.
std::vector<std::string> tiny_models(std::set<std::string>& architectures) {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(data_folder)) {
        if (entry.path().extension() != ".gguf") continue;
        const auto file = GgufFile::open(entry.path().string());
        EXPECT_TRUE(file) << entry.path();
        const auto name = (*file)->get_string("general.architecture");
        EXPECT_TRUE(name) << entry.path();
        if (!architecture_known(*name)) continue;
        architectures.emplace(*name);
        paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

// A new architecture of native comes with a small model of random weights, or this fails.
TEST(Parity, EveryArchitectureOnRandomWeights) {
    std::set<std::string> architectures;
    const auto paths = tiny_models(architectures);
#define ARCHITECTURE(name, load) \
    EXPECT_TRUE(architectures.contains(#name)) << "tests/data has no model of " #name;
#include "models/architectures.def"
#undef ARCHITECTURE
    for (const std::string& path : paths) {
        const auto ours = native(path), theirs = llamacpp(FlashAttention::Off, path);
        ASSERT_TRUE(ours && theirs);
        Differences differences;
        size_t rows = 0;
        double apart = 0;  // the logarithms of the perplexities of all texts together
        size_t rated = 0;
        for (const uint32_t length : {1U, 9U, 70U, 300U}) {
            std::vector<TokenId> text;
            for (uint32_t i = 0; i < length; ++i)
                text.push_back(static_cast<TokenId>((i * 7919U + length * 104729U) %
                                                    ours->capabilities().vocabulary));
            continue_greedily(*ours, text, kTinyAnswer);
            const auto a = choices(*ours, text, length), b = choices(*theirs, text, length);
            ASSERT_EQ(a.size(), b.size());
            for (size_t i = 0; i < a.size(); ++i, ++rows)
                if (a[i].token != b[i].token) differences.add(std::min(a[i].lead, b[i].lead));
            const double mine = perplexity(*ours, text), other = perplexity(*theirs, text);
            apart += std::log(other / mine) * static_cast<double>(text.size() - 1);
            rated += text.size() - 1;
        }
        apart = std::abs(std::expm1(apart / static_cast<double>(rated)));
        const std::string name = std::filesystem::path(path).filename();
        differences.print(name.c_str(), rows);
        std::printf("%-28s perplexities %.3f %% apart\n", name.c_str(), 100 * apart);
        EXPECT_LE(differences.largest_lead, kSlightLead) << name;
        EXPECT_LE(apart, 0.005) << name;
    }
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 4) {
        std::fprintf(stderr, "usage: parity_test GOLDEN_FOLDER DEFAULT_MODEL.gguf DATA_FOLDER\n");
        return 2;
    }
    dunlin::golden_folder = argv[1];
    dunlin::model_path = argv[2];
    dunlin::data_folder = argv[3];
    return RUN_ALL_TESTS();
}
