// The same bits on every machine: digests of the logits of small models, for every kind of weights,
// on each instruction set that there is. They were computed once and hold for x86 and ARM alike.
//
// Whoever changes one, because the arithmetic changes, gives kArithmetic in native_runner.cpp
// another value. Kernels aside, cosines and sines enter: the system's, in double, rounded to float.

#include <bit>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/isa.h"
#include "models/random_weights.h"
#include "runner/native/native_runner.h"

namespace dunlin {
namespace {

struct Case {
    DType matrix;
    KvType type;
    uint32_t tokens;
    uint64_t digest;
};

constexpr Case kCases[] = {
    {DType::F32, KvType::F16, 40, 0x9ad2793835c9314e},
    {DType::F16, KvType::F16, 40, 0xb5ef7743671bb7ad},
    {DType::BF16, KvType::F16, 40, 0xcb64cf2c62c64b3a},
    {DType::Q4_0, KvType::F16, 40, 0x967c4181db8b5e7d},
    {DType::Q4_1, KvType::F16, 40, 0xf61304857e42dda3},
    {DType::Q5_0, KvType::F16, 40, 0x7d871eaad241c1c2},
    {DType::Q5_1, KvType::F16, 40, 0x3fdd4a902c87d78a},
    {DType::Q8_0, KvType::F16, 40, 0x80ce935c617f31d3},
    {DType::Q4_K, KvType::F16, 40, 0x6a8a4ea0995a2de2},
    {DType::Q5_K, KvType::F16, 40, 0x11bbf0bcb12736ec},
    {DType::Q6_K, KvType::F16, 40, 0x162f6eb07eced3b0},
    {DType::Q4_1, KvType::Int8, 40, 0x36ad7efcecfaa08d},
    {DType::Q4_1, KvType::F16, 300, 0x2e4e302017cced43},  // more than one span of attention
    {DType::Q4_1, KvType::Int8, 300, 0x52b02b26469df453},
};

/// Columns are whole blocks of 256. The long ones are smaller, with a head of an odd size.
ModelConfig model_for(const Case& one) {
    const bool small = one.tokens > 256;
    ModelConfig c;
    c.architecture = "llama";
    c.vocab_size = 203, c.hidden_size = small ? 96 : 256, c.intermediate_size = small ? 160 : 512;
    c.num_hidden_layers = 2, c.num_attention_heads = 4, c.num_key_value_heads = 2;
    c.head_dim = small ? 41 : 64, c.rotary_dim = small ? 24 : 64;
    c.max_position_embeddings = 512;
    c.rope_interleaved = true;
    return c;
}

/// Of the logits behind the last eight tokens (FNV-1a); none where something failed.
std::optional<uint64_t> digest_of(const Case& one) {
    const ModelConfig config = model_for(one);
    RandomWeights weights(11);
    weights.add_llama(config, one.matrix, DType::Q8_0);
    const auto runner = make_native_runner(config, weights,
                                           {.threads = 2,
                                            .kv_tokens = 512,
                                            .kv_type = one.type,
                                            .sequences_max = 1,
                                            .step_tokens_max = 512});
    if (!runner) return std::nullopt;
    std::vector<TokenId> tokens(one.tokens);
    for (uint32_t i = 0; i < one.tokens; ++i)
        tokens[i] = static_cast<TokenId>((i * 7919U + i * i * 31U) % config.vocab_size);
    const auto seq = (*runner)->open({{1, 1}, tokens, one.tokens});
    if (!seq || !(*runner)->reserve(*seq, one.tokens)) return std::nullopt;
    const Span span{*seq, tokens, 8};
    const auto id = (*runner)->launch({{&span, 1}});
    if (!id) return std::nullopt;
    const auto step = (*runner)->collect(*id);
    if (!step) return std::nullopt;
    uint64_t digest = 0xcbf29ce484222325;
    for (const Output& output : step->outputs) {
        if (!output.finite) return std::nullopt;
        for (const float logit : output.logits)
            for (int shift = 0; shift < 32; shift += 8)
                digest =
                    (digest ^ (std::bit_cast<uint32_t>(logit) >> shift & 255U)) * 0x100000001b3;
    }
    return digest;
}

TEST(NativeRunner, GivesTheSameBitsOnEveryMachine) {
    for (const Isa isa : available_isas()) {
        setenv("DUNLIN_ISA", std::string(to_string(isa)).c_str(), 1);
        for (const Case& one : kCases) {
            const auto digest = digest_of(one);
            ASSERT_TRUE(digest);
            EXPECT_EQ(*digest, one.digest)
                << std::hex << "0x" << *digest << std::dec << " of " << to_string(one.matrix)
                << (one.type == KvType::Int8 ? " int8 " : " ") << one.tokens << " on "
                << to_string(isa);
        }
    }
    unsetenv("DUNLIN_ISA");
}

}  // namespace
}  // namespace dunlin
