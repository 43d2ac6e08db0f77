// The same answer at any load: bit-identical logits for one sequence alone and among others, in
// chunks of any size, on one thread and two, computed or found in the cache. On a small model with
// an odd head size, three key heads, sizes that fill no panel, and more than two attention spans.

#include "runner/native/native_runner.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "models/random_weights.h"

namespace dunlin {
namespace {

constexpr uint32_t kPrompt = 530;
constexpr uint32_t kDecode = 6;

ModelConfig small_model() {
    ModelConfig c;
    c.architecture = "llama";
    c.vocab_size = 203, c.hidden_size = 96, c.intermediate_size = 168;
    c.num_hidden_layers = 2, c.num_attention_heads = 6, c.num_key_value_heads = 3;
    c.head_dim = 41, c.rotary_dim = 24, c.max_position_embeddings = 1024;
    c.rope_interleaved = true;
    return c;
}

std::unique_ptr<Runner> make_runner(DType matrix, uint32_t threads, KvType type = KvType::F16) {
    const ModelConfig config = small_model();
    RandomWeights weights(5);
    weights.add_llama(config, matrix, DType::Q8_0);
    auto runner = make_native_runner(
        config, weights,
        {.threads = threads, .kv_tokens = 40 * 600, .kv_type = type, .sequences_max = 40});
    EXPECT_TRUE(runner) << runner.error().message;
    return runner ? std::move(*runner) : nullptr;
}

std::vector<TokenId> tokens_of(uint32_t seed, uint32_t count) {
    std::vector<TokenId> tokens(count);
    for (uint32_t i = 0; i < count; ++i)
        tokens[i] = static_cast<TokenId>((i * 7919U + seed * 104729U + i * i * 31U) % 203U);
    return tokens;
}

using Rows = std::vector<std::vector<float>>;

/// Feeds tokens [length, end) of `all` in chunks, beside `mates` that decode one token each step,
/// and returns the logits of every token from kPrompt - 1 on.
Rows run(Runner& runner, SeqId seq, const std::vector<TokenId>& all, uint32_t chunk,
         const std::vector<SeqId>& mates) {
    Rows rows;
    const TokenId mate_token = 3;
    while (runner.length(seq) < all.size()) {
        const uint32_t at = runner.length(seq);
        const uint32_t end = at < kPrompt ? std::min(kPrompt, at + chunk)
                                          : std::min<uint32_t>(at + 1, kPrompt + kDecode);
        std::vector<Span> spans;
        for (const SeqId mate : mates)
            if (runner.reserve(mate, 1)) spans.push_back({mate, {&mate_token, 1}, 1});
        const uint32_t outputs = end >= kPrompt ? 1 : 0;
        EXPECT_TRUE(runner.reserve(seq, end - at));
        spans.insert(spans.begin() + static_cast<long>(spans.size() / 2),
                     Span{seq, std::span(all).subspan(at, end - at), outputs});
        const auto step = runner.launch({spans});
        if (!step) {
            ADD_FAILURE() << step.error().message;
            return rows;
        }
        for (const Output& output : runner.collect(*step)->outputs) {
            EXPECT_TRUE(output.finite);
            if (output.seq == seq) rows.emplace_back(output.logits.begin(), output.logits.end());
        }
    }
    return rows;
}

Rows run_alone(Runner& runner, const std::vector<TokenId>& all, uint32_t chunk) {
    const auto seq = runner.open({{1, 1}, std::span(all).first(kPrompt), kPrompt + kDecode});
    const Rows rows = run(runner, *seq, all, chunk, {});
    runner.close(*seq, Keep::Nothing);
    return rows;
}

struct Kept {
    DType matrix;
    KvType type;
};
class SameAtAnyLoad : public testing::TestWithParam<Kept> {};

TEST_P(SameAtAnyLoad, FullMatrix) {
    const auto all = tokens_of(1, kPrompt + kDecode);
    const Rows expected = run_alone(*make_runner(GetParam().matrix, 1, GetParam().type), all, 512);
    ASSERT_EQ(expected.size(), kDecode + 1);
    for (const uint32_t threads : {1U, 2U}) {
        const auto runner = make_runner(GetParam().matrix, threads, GetParam().type);
        for (const uint32_t mates : {0U, 1U, 7U, 31U}) {
            std::vector<SeqId> others;
            for (uint32_t i = 0; i < mates; ++i) {
                const auto prompt = tokens_of(100 + i, 1 + i * 13 % 40);
                others.push_back(*runner->open({{2, i}, prompt, 640}));
                ASSERT_TRUE(runner->reserve(others.back(), static_cast<uint32_t>(prompt.size())));
                const Span span{others.back(), prompt, 0};
                ASSERT_TRUE(runner->launch({{&span, 1}}));
            }
            for (const uint32_t chunk : {1U, 5U, 16U, 37U, 255U, 256U, 480U}) {
                for (const bool cached : {false, true}) {
                    if (chunk == 1 && mates > 1) continue;  // the mates would run out of context
                    const auto seq = runner->open(
                        {{1, cached ? 1U : 2U}, std::span(all).first(kPrompt), kPrompt + kDecode});
                    ASSERT_TRUE(seq) << seq.error().message;
                    const uint32_t found = runner->match(*seq).length;
                    if (!cached) {
                        EXPECT_EQ(found, 0U);
                    }
                    const Rows rows = run(*runner, *seq, all, chunk, others);
                    ASSERT_EQ(rows, expected) << "threads " << threads << " mates " << mates
                                              << " chunk " << chunk << " found " << found;
                    runner->close(*seq, cached ? Keep::Cached : Keep::Nothing);
                }
            }
            for (const SeqId other : others) runner->close(other, Keep::Nothing);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Weights, SameAtAnyLoad,
                         testing::Values(Kept{DType::BF16, KvType::F16},
                                         Kept{DType::Q4_1, KvType::F16},
                                         Kept{DType::Q8_0, KvType::F16},
                                         Kept{DType::Q5_0, KvType::F16},
                                         Kept{DType::Q4_1, KvType::Int8}),
                         [](const auto& kept) {
                             return std::string(to_string(kept.param.matrix)) +
                                    (kept.param.type == KvType::Int8 ? "_int8" : "");
                         });

TEST(NativeRunner, BytesTakeHalfTheMemoryAndOtherArithmetic) {
    const auto half = make_runner(DType::Q4_1, 1);
    const auto bytes = make_runner(DType::Q4_1, 1, KvType::Int8);
    // A block of a head: 16 keys of 41, 16 values with room for 48, three scales a token.
    EXPECT_EQ(half->memory().kv_total_bytes, 1500U * 2 * 3 * 16 * (41 + 48) * 2);
    EXPECT_EQ(bytes->memory().kv_total_bytes, 1500U * 2 * 3 * 16 * (41 + 48 + 6));
    EXPECT_NE(half->capabilities().arithmetic, bytes->capabilities().arithmetic);
    const auto tokens = tokens_of(1, 32);
    const auto seq = bytes->open({{1, 1}, tokens, 32});
    ASSERT_TRUE(bytes->reserve(*seq, 32));
    EXPECT_EQ(bytes->memory().kv_used_bytes, 2U * 2 * 3 * 16 * (41 + 48 + 6));
}

TEST(NativeRunner, RefusesWholeWhatItCannotTake) {
    const auto runner = make_runner(DType::F32, 1);
    const auto tokens = tokens_of(1, 600);
    const auto seq = runner->open({{1, 1}, tokens, 600});
    ASSERT_TRUE(seq);
    const Span unreserved{*seq, std::span(tokens).first(5), 1};
    EXPECT_EQ(runner->launch({{&unreserved, 1}}).error().code, Code::NoRoom);
    ASSERT_TRUE(runner->reserve(*seq, 600));
    const Span too_many{*seq, tokens, 1};
    EXPECT_EQ(runner->launch({{&too_many, 1}}).error().code, Code::Invalid);
    const TokenId outside = 203;
    const Span absurd{*seq, {&outside, 1}, 1};
    EXPECT_EQ(runner->launch({{&absurd, 1}}).error().code, Code::Invalid);
    EXPECT_EQ(runner->launch({}).error().code, Code::Invalid);
    EXPECT_EQ(runner->length(*seq), 0U);
    EXPECT_EQ(runner->open({{1, 1}, {}, 5000}).error().code, Code::TooLong);
}

TEST(NativeRunner, ForkedAndRolledBackSequencesGoOnAsIfComputed) {
    const auto runner = make_runner(DType::Q4_1, 2);
    const auto all = tokens_of(1, kPrompt + kDecode);
    const Rows expected = run_alone(*runner, all, 100);
    const auto parent = runner->open({{3, 1}, std::span(all).first(kPrompt), kPrompt + kDecode});
    run(*runner, *parent, all, 77, {});
    const auto child = runner->fork(*parent, 401);
    ASSERT_TRUE(child);
    EXPECT_EQ(runner->length(*child), 401U);
    EXPECT_EQ(run(*runner, *child, all, 64, {}), expected);
    EXPECT_EQ(runner->trim(*parent, 333), 333U);
    EXPECT_EQ(run(*runner, *parent, all, 64, {}), expected);
}

TEST(NativeRunner, AMissingTensorIsAClearError) {
    const ModelConfig config = small_model();
    const RandomWeights nothing(1);
    const auto runner = make_native_runner(config, nothing, {.threads = 1});
    ASSERT_FALSE(runner);
    EXPECT_EQ(runner.error().message, "the model has no tensor 'token_embd.weight'");
    ModelConfig unknown = config;
    unknown.architecture = "mamba";
    EXPECT_EQ(make_native_runner(unknown, nothing, {.threads = 1}).error().code, Code::Unsupported);
}

}  // namespace
}  // namespace dunlin
