#include "app/llamacpp_room.h"

#include <utility>

#include "gtest/gtest.h"

namespace dunlin {
namespace {

constexpr uint64_t kGibibyte = uint64_t{1} << 30;
const KvShape kShape{.context_tokens = 131072, .token_bytes = uint64_t{128} << 10};  // 8B, usual

std::pair<uint32_t, uint32_t> room(const NativeSettings& wanted, const KvShape& shape,
                                   uint64_t memory_bytes, KvType kv_type = KvType::F16) {
    LlamaCppSettings out{.kv_type = kv_type};
    set_llamacpp_room(wanted, shape, memory_bytes, out);
    return {out.sequences_max, out.context_tokens_max};
}

TEST(LlamaCppRoom, IsAQuarterOfTheMemoryAndAtMostEightContexts) {
    EXPECT_EQ(room({}, kShape, 16 * kGibibyte), std::pair(4U, 8192U));  // 1 GiB each
    EXPECT_EQ(room({}, kShape, 16 * kGibibyte, KvType::Int8), std::pair(7U, 8192U));
    EXPECT_EQ(room({}, kShape, 999 * kGibibyte), std::pair(8U, 8192U));
    EXPECT_EQ(room({}, kShape, kGibibyte), std::pair(1U, 8192U));
    EXPECT_EQ(room({}, kShape, 0), std::pair(8U, 8192U));
    EXPECT_EQ(room({}, {}, kGibibyte), std::pair(8U, 8192U));
    EXPECT_EQ(room({}, {.context_tokens = 512, .token_bytes = 1}, kGibibyte), std::pair(8U, 512U));
    EXPECT_EQ(room({.sequences_max = 3}, kShape, 999 * kGibibyte), std::pair(3U, 8192U));
    EXPECT_EQ(room({.context_tokens_max = 32768}, kShape, 32 * kGibibyte), std::pair(2U, 32768U));
}

TEST(LlamaCppRoom, IsWhatKvTokensSays) {
    EXPECT_EQ(room({.kv_tokens = 163840}, kShape, kGibibyte), std::pair(20U, 8192U));
    EXPECT_EQ(room({.kv_tokens = 163840, .sequences_max = 5}, kShape, kGibibyte),
              std::pair(5U, 8192U));
    EXPECT_EQ(room({.kv_tokens = 16, .context_tokens_max = 100}, kShape, kGibibyte),
              std::pair(1U, 16U));
    EXPECT_EQ(room({.kv_tokens = 16777216, .sequences_max = 4096, .context_tokens_max = 16}, kShape,
                   kGibibyte),
              std::pair(256U, 16U));
}

TEST(LlamaCppRoom, ReadsTheShapeFromTheFile) {
    const auto file = GgufFile::open(DUNLIN_TEST_DATA "/tiny_plain.gguf");
    ASSERT_TRUE(file);
    const KvShape shape = kv_shape(**file);
    EXPECT_EQ(shape.context_tokens, 1024U);
    EXPECT_EQ(shape.token_bytes, 2 * 3 * (24 + 24) * 2U);  // layers, heads, their sizes, 16 bits
}

}  // namespace
}  // namespace dunlin
