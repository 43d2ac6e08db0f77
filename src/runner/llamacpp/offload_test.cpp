#include "runner/llamacpp/offload.h"

#include <numeric>

#include "gtest/gtest.h"

namespace dunlin {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(Offload, TheLastLayersGoFirstAndTheMarginStaysFree) {
    const LayerBytes layers{100 * kMiB, 100 * kMiB, 100 * kMiB, 30 * kMiB};
    const auto fit = [&](uint64_t mib, uint64_t scratch = 0) {
        return layers_that_fit(layers, kOffloadMarginBytes + mib * kMiB, scratch * kMiB);
    };
    EXPECT_EQ(fit(0), 0U);
    EXPECT_EQ(fit(29), 0U);
    EXPECT_EQ(fit(30), 1U) << "the output alone";
    EXPECT_EQ(fit(129), 1U);
    EXPECT_EQ(fit(130), 2U);
    EXPECT_EQ(fit(329), 3U);
    EXPECT_EQ(fit(330), 4U);
    EXPECT_EQ(fit(100'000), 4U);
    EXPECT_EQ(fit(330, 1), 3U) << "scratch takes from what layers may have";
    EXPECT_EQ(layers_that_fit(layers, 10 * kMiB, 0), 0U) << "less than the margin is free";
    EXPECT_EQ(layers_that_fit(layers, UINT64_MAX, UINT64_MAX), 0U);
    EXPECT_EQ(layers_that_fit({}, UINT64_MAX, 0), 0U);
}

TEST(Offload, AHoleIsNotSkipped) {
    EXPECT_EQ(layers_that_fit({1, kMiB, 1}, kOffloadMarginBytes + 10, 0), 1U);
}

class OffloadOfAFile : public testing::Test {
 protected:
    std::unique_ptr<GgufFile> open(const char* name) {
        auto file = GgufFile::open(std::string(DUNLIN_TEST_DATA) + "/" + name);
        EXPECT_TRUE(file) << file.error().message;
        return std::move(*file);
    }
    static uint64_t sum(const LayerBytes& bytes) {
        return std::accumulate(bytes.begin(), bytes.end(), uint64_t{0});
    }
};

TEST_F(OffloadOfAFile, EveryTensorIsInOneLayerButAnEmbeddingThatIsNotTheHead) {
    for (const char* name : {"tiny_plain.gguf", "tiny_quantized.gguf"}) {
        const auto file = open(name);
        const LayerBytes bytes = layer_bytes(*file, {.tokens = 0});
        ASSERT_EQ(bytes.size(), *file->get_uint("llama.block_count") + 1);
        uint64_t all = 0;
        for (const std::string_view tensor : file->names()) all += file->find(tensor)->data.size();
        if (file->find("output.weight") != nullptr)
            all -= file->find("token_embd.weight")->data.size();
        EXPECT_EQ(sum(bytes), all) << name;
        for (const uint64_t layer : bytes) EXPECT_GT(layer, 0U);
    }
}

TEST_F(OffloadOfAFile, KvIsChargedToEachLayerButTheOutput) {
    const auto file = open("tiny_plain.gguf");
    const LayerBytes without = layer_bytes(*file, {.tokens = 0});
    const LayerBytes with = layer_bytes(*file, {.tokens = 320});
    const LayerBytes q8 =
        layer_bytes(*file, {.tokens = 320, .block_elements = 32, .block_bytes = 34});
    constexpr uint64_t kElements = 3 * 24 * 2 * 320;  // KV heads, their length, K and V, tokens
    for (size_t i = 0; i + 1 < with.size(); ++i) {
        EXPECT_EQ(with[i] - without[i], kElements * 2);
        EXPECT_EQ(q8[i] - without[i], kElements / 32 * 34);
    }
    EXPECT_EQ(with.back(), without.back());
}

TEST_F(OffloadOfAFile, AbsurdContextsDoNotWrapAround) {
    const LayerBytes bytes = layer_bytes(*open("tiny_plain.gguf"), {.tokens = UINT64_MAX / 2});
    EXPECT_EQ(layers_that_fit(bytes, UINT64_MAX / 16, 0), 1U);
}

}  // namespace
}  // namespace dunlin
