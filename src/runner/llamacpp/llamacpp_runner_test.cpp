// What is llama.cpp's alone; what every Runner does is in runner/conformance_test.cpp.

#ifdef DUNLIN_LLAMACPP

#include "runner/llamacpp/llamacpp_runner.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <unistd.h>

#include "ggml.h"
#include "runner/conformance.h"
#include "runner/llamacpp/architectures.h"
#include "tensor/dtype.h"

namespace dunlin::conformance {
namespace {

constexpr uint32_t kLong = 768;

LlamaCppSettings settings(LlamaCppSettings changed = {}) {
    changed.threads = 1;
    changed.sequences_max = 2;
    changed.step_tokens_max = 64;
    changed.context_tokens_max = kLong;
    return changed;
}

std::unique_ptr<Runner> make(const char* file, LlamaCppSettings changed = {}) {
    return unwrap(make_llamacpp_runner(tiny(file), settings(changed)));
}

Error refusal(const char* file, LlamaCppSettings changed) {
    auto made = make_llamacpp_runner(tiny(file), settings(changed));
    EXPECT_FALSE(made);
    return made ? Error{} : made.error();
}

/// The logits behind `all`, after what the sequence has of it.
Row advance(Runner& runner, SeqId seq, std::span<const TokenId> all) {
    while (runner.length(seq) < all.size()) {
        const auto next = all.subspan(runner.length(seq))
                              .first(std::min<size_t>(64, all.size() - runner.length(seq)));
        EXPECT_TRUE(runner.reserve(seq, static_cast<uint32_t>(next.size())));
        const Span span{seq, next, 1};
        const auto step = runner.launch({{&span, 1}});
        if (!step) return ADD_FAILURE() << step.error().message, Row{};
        const auto done = runner.collect(*step);
        if (!done) return ADD_FAILURE() << done.error().message, Row{};
        if (runner.length(seq) == all.size())
            return {done->outputs[0].logits.begin(), done->outputs[0].logits.end()};
    }
    return ADD_FAILURE() << "nothing to compute", Row{};
}

Row logits_of(Runner& runner, std::span<const TokenId> all) {
    const auto seq = runner.open({{5, 5}, {}, kLong});
    const Row row = advance(runner, *seq, all);
    runner.close(*seq, Keep::Nothing);
    return row;
}

void expect_close(const Row& row, const Row& other) {
    ASSERT_EQ(row.size(), other.size());
    for (size_t i = 0; i < row.size(); ++i) ASSERT_NEAR(row[i], other[i], 0.05F) << i;
}

TEST(LlamaCpp, EveryTypeOfElementsThatItKnowsHasASizeHere) {
    for (uint32_t id = 0; id < GGML_TYPE_COUNT; ++id) {
        const auto type = static_cast<ggml_type>(id);
        if (ggml_blck_size(type) == 0) continue;  // a number that is no longer used
        const auto known = dtype_from_gguf(id);
        ASSERT_TRUE(known) << ggml_type_name(type);
        EXPECT_EQ(block_format(*known).block_elements, ggml_blck_size(type)) << to_string(*known);
        EXPECT_EQ(block_format(*known).block_bytes, ggml_type_size(type)) << to_string(*known);
    }
}

TEST(LlamaCpp, SettingsThatCannotBeAreRefused) {
    const Error device = refusal("tiny_plain.gguf", {.device = "abacus0"});
    EXPECT_EQ(device.code, Code::Invalid);
    EXPECT_NE(device.message.find("it has: cpu"), std::string::npos) << device.message;
    const Error flash = refusal("tiny_sliding.gguf",
                                {.flash_attention = FlashAttention::Off, .kv_type = KvType::Int8});
    EXPECT_EQ(flash.code, Code::Invalid);
    EXPECT_NE(flash.message.find("flash attention"), std::string::npos) << flash.message;
}

TEST(LlamaCpp, KnowsItsArchitectures) {
    const auto known = llamacpp_architectures();
    EXPECT_GT(known.size(), 100U);
    EXPECT_TRUE(std::is_sorted(known.begin(), known.end()));
    for (const char* name : {"llama", "gemma3", "mamba", "qwen2"})
        EXPECT_TRUE(std::binary_search(known.begin(), known.end(), name)) << name;
    EXPECT_FALSE(std::binary_search(known.begin(), known.end(), "clip"));
}

/// What is said about tiny_plain.gguf with another architecture of 5 letters, or number of layers.
std::string obstacle_of(const std::string& name, const std::string& layers = {}) {
    std::ifstream file(tiny("tiny_plain.gguf"), std::ios::binary);
    std::string bytes(std::istreambuf_iterator<char>(file), {});
    bytes.replace(bytes.find("llama"), 5, name);
    const std::string key = "llama.block_count";
    if (!layers.empty()) bytes.replace(bytes.find(key) + key.size() + 4, 4, layers);
    const std::string path = testing::TempDir() + "obstacle_" + std::to_string(getpid());
    std::ofstream(path, std::ios::binary) << bytes;
    const auto opened = GgufFile::open(path);
    EXPECT_TRUE(opened) << opened.error().message;
    const std::string out = opened ? llamacpp_obstacle(**opened) : "";
    const auto made = make_llamacpp_runner(path, settings());
    EXPECT_EQ(made.has_value(), out.empty());
    if (!made) EXPECT_NE(made.error().message.find(out), std::string::npos) << made.error().message;
    std::filesystem::remove(path);
    return out;
}

TEST(LlamaCpp, WhatItCannotComputeIsSaidBeforeItTries) {
    const auto says = [](const std::string& text, const char* words) {
        return text.find(words) != text.npos;
    };
    EXPECT_EQ(obstacle_of("llama"), "");
    EXPECT_PRED2(says, obstacle_of("abacu"),
                 "does not know the architecture \"abacu\", it knows 1");
    EXPECT_PRED2(says, obstacle_of("\xff\n..."), "architecture \"??...\"");
    EXPECT_PRED2(says, obstacle_of("llada"), "diffusion");
    EXPECT_PRED2(says, obstacle_of("dream"), "diffusion");
    EXPECT_PRED2(says, obstacle_of("llama", std::string(4, '\0')), "block_count' is 0");
    EXPECT_PRED2(says, obstacle_of("llama", std::string("\1\2\0\0", 4)), "is 513, and llama.cpp");
}

TEST(LlamaCpp, AFileThatHasChangedIsNotComputedFrom) {
    const std::string path = testing::TempDir() + "changed_" + std::to_string(getpid());
    std::filesystem::copy_file(tiny("tiny_plain.gguf"), path);
    const auto runner = unwrap(make_llamacpp_runner(path, settings()));
    const auto seq = runner->open({{1, 1}, {}, 10});
    const auto tokens = tokens_of(1, 4);
    const Span span{*seq, tokens, 1};
    ASSERT_TRUE(runner->reserve(*seq, 8));
    const auto step = runner->launch({{&span, 1}});
    ASSERT_TRUE(step && runner->collect(*step));
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
    const auto refused = runner->launch({{&span, 1}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Corrupt);
    EXPECT_EQ(runner->length(*seq), 4U);
    std::filesystem::remove(path);
}

TEST(LlamaCpp, AHeadThatIsNoBlockLongCannotBeKeptAt8Bits) {
    const Error error = refusal("tiny_plain.gguf", {.kv_type = KvType::Int8});
    EXPECT_NE(error.message.find("n_embd_head"), std::string::npos) << error.message;
}

TEST(LlamaCpp, MemoryIsWhatTheLibraryTook) {
    const auto file = GgufFile::open(tiny("tiny_sliding.gguf"));
    ASSERT_TRUE(file);
    uint64_t weights = 0;
    for (const std::string_view name : (*file)->names())
        weights += (*file)->find(name)->data.size();
    const auto full = make("tiny_sliding.gguf")->memory();
    const auto half = make("tiny_sliding.gguf", {.kv_type = KvType::Int8})->memory();
    EXPECT_GE(full.weights_bytes, weights);
    EXPECT_LE(full.weights_bytes, 2 * weights) << "mapped, repacked, but not much more";
    // Layers, K and V, a head of 32, sequences, tokens, bytes.
    EXPECT_EQ(full.kv_total_bytes, 3U * 2 * 32 * 2 * kLong * 2);
    EXPECT_EQ(half.kv_total_bytes, full.kv_total_bytes / 64 * 34);
    EXPECT_GT(full.scratch_bytes, 0U);
    EXPECT_EQ(full.device_bytes, 0U);
    EXPECT_EQ(full.kv_used_bytes, 0U);
}

// Far behind a window of 16 tokens, so that a cache of only the window would have lost them.
TEST(LlamaCpp, ASlidingWindowIsWholeAfterALongRollback) {
    const auto runner = make("tiny_sliding.gguf");
    const auto first = tokens_of(1, kLong), second = tokens_of(2, 40);
    std::vector<TokenId> mixed(first.begin(), first.begin() + 100);
    mixed.insert(mixed.end(), second.begin(), second.end());
    const auto seq = runner->open({{1, 1}, {}, kLong});
    advance(*runner, *seq, first);
    const uint32_t left = runner->trim(*seq, 100);
    EXPECT_EQ(left, 100U) << "rollback_max promises it";
    expect_close(advance(*runner, *seq, mixed), logits_of(*runner, mixed));
}

TEST(LlamaCpp, ARecurrentStateIsNotRolledBack) {
    const auto runner = make("tiny_recurrent.gguf");
    EXPECT_EQ(runner->capabilities().rollback_max, 0U);
    const auto all = tokens_of(1, 60);
    const auto seq = runner->open({{1, 1}, {}, kLong});
    const Row row = advance(*runner, *seq, all);
    EXPECT_EQ(runner->trim(*seq, 59), 0U);
    expect_close(advance(*runner, *seq, all), row);
}

// In one call of the library they come out wrong but for the first.
TEST(LlamaCpp, RecurrentSequencesOfOneBatchAreThoseOfThemAlone) {
    const auto runner = make("tiny_recurrent.gguf"), alone = make("tiny_recurrent.gguf");
    const auto first = tokens_of(1, 5), second = tokens_of(2, 5);
    const auto a = runner->open({{1, 1}, {}, 10}), b = runner->open({{2, 1}, {}, 10});
    ASSERT_TRUE(runner->reserve(*a, 5) && runner->reserve(*b, 5));
    const std::vector<Span> spans{{*a, first, 1}, {*b, second, 1}};
    const auto step = runner->launch({spans});
    ASSERT_TRUE(step);
    const auto done = runner->collect(*step);
    ASSERT_TRUE(done);
    const auto row = [&](size_t i) {
        const auto logits = done->outputs[i].logits;
        return Row(logits.begin(), logits.end());
    };
    expect_close(row(0), logits_of(*alone, first));
    expect_close(row(1), logits_of(*alone, second));
}

class LlamaCppOnADevice : public testing::Test {
 protected:
    void SetUp() override {
        const auto devices = llamacpp_devices();
        if (devices.empty()) GTEST_SKIP() << "llama.cpp sees no device but the CPU here";
        device_ = devices.front().name;
    }
    std::unique_ptr<Runner> with(std::optional<uint32_t> layers) {
        return make("tiny_plain.gguf", {.device = device_, .device_layers = layers});
    }
    std::string device_;
};

TEST_F(LlamaCppOnADevice, LayersLieWhereTheyWereAskedToLie) {
    const auto none = with(0)->memory(), one = with(1)->memory(), all = with(100)->memory(),
               fitting = with(std::nullopt)->memory();
    EXPECT_LT(none.device_bytes, one.device_bytes);
    EXPECT_LT(one.device_bytes, all.device_bytes);
    EXPECT_EQ(fitting.device_bytes, all.device_bytes) << "a tiny model fits anywhere";
    EXPECT_GT(all.device_bytes, all.kv_total_bytes);
    EXPECT_EQ(make("tiny_plain.gguf")->memory().device_bytes, 0U) << "cpu is the CPU alone";
}

TEST_F(LlamaCppOnADevice, TheLogitsAreThoseOfTheCpu) {
    const auto all = tokens_of(3, 200);
    const Row cpu = logits_of(*make("tiny_plain.gguf"), all);
    const auto [low, high] = std::minmax_element(cpu.begin(), cpu.end());
    for (const uint32_t layers : {0U, 1U, 2U, 100U}) {
        const Row row = logits_of(*with(layers), all);
        ASSERT_EQ(row.size(), cpu.size());
        for (size_t i = 0; i < row.size(); ++i)
            ASSERT_NEAR(row[i], cpu[i], 0.03F * (*high - *low)) << layers << " layers, " << i;
    }
}

}  // namespace
}  // namespace dunlin::conformance

#endif
