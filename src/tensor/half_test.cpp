#include "tensor/half.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace dunlin {
namespace {

TEST(Half, EveryValueSurvivesTheRoundTrip) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
        const float value = half_to_float(static_cast<uint16_t>(bits));
        if (std::isnan(value)) {
            EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
        } else {
            ASSERT_EQ(float_to_half(value), bits);
        }
    }
}

TEST(Half, RoundsToNearestAndTiesToEven) {
    for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
        const float low = half_to_float(static_cast<uint16_t>(bits));
        const float high = half_to_float(static_cast<uint16_t>(bits + 1));
        const float middle = low + (high - low) / 2;  // exact: one more bit
        ASSERT_EQ(float_to_half(middle), bits + (bits & 1)) << low;
        ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0F)), bits);
        ASSERT_EQ(float_to_half(std::nextafter(middle, 1e9F)), bits + 1);
        ASSERT_EQ(float_to_half(-middle), 0x8000 | (bits + (bits & 1)));
    }
    EXPECT_EQ(float_to_half(65519.0F), 0x7bff);
    EXPECT_EQ(float_to_half(65520.0F), 0x7c00);
    EXPECT_EQ(float_to_half(std::numeric_limits<float>::infinity()), 0x7c00);
}

TEST(Bfloat, RoundsToNearestAndTiesToEven) {
    EXPECT_EQ(float_to_bfloat(1.0F), 0x3f80);
    EXPECT_EQ(float_to_bfloat(1.0F + 0x1p-8F), 0x3f80);
    EXPECT_EQ(float_to_bfloat(1.0F + 0x3p-8F), 0x3f82);
    EXPECT_TRUE(std::isnan(bfloat_to_float(float_to_bfloat(std::nanf("")))));
    EXPECT_EQ(bfloat_to_float(0xc040), -3.0F);
}

}  // namespace
}  // namespace dunlin
