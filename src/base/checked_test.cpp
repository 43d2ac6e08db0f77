#include "base/checked.h"

#include <limits>

#include "gtest/gtest.h"

namespace dunlin {
namespace {

TEST(Checked, SaysNothingInsteadOfWrapping) {
    constexpr auto kMax = std::numeric_limits<uint64_t>::max();
    EXPECT_EQ(checked_add<uint64_t>(kMax - 1, 1), kMax);
    EXPECT_EQ(checked_add<uint64_t>(kMax, 1), std::nullopt);
    EXPECT_EQ(checked_mul<uint64_t>(kMax / 2, 2), kMax - 1);
    EXPECT_EQ(checked_mul<uint64_t>(kMax / 2 + 1, 2), std::nullopt);
    EXPECT_EQ(checked_cast<uint8_t>(256), std::nullopt);
    EXPECT_EQ(checked_cast<uint32_t>(-1), std::nullopt);
    EXPECT_EQ((round_up<uint64_t>(33, 16)), 48U);
}

}  // namespace
}  // namespace dunlin
