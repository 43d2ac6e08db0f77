// Products of BF16 on every instruction set of this machine: bit for bit as their definition has
// it, one fused multiply-add after the other, for numbers of any size and those that are none.

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/kernels.h"
#include "tensor/half.h"

namespace dunlin {
namespace {

/// What a number becomes: by its definition, the nearer of its two neighbours in BF16.
float rounded(float x) {
    if (std::isnan(x) || std::isinf(x)) return x;
    if (std::fabs(x) < kLeastBfloat) return 0.0F;
    const double unit = std::exp2(std::ilogb(x) - 7);
    const double nearest = std::nearbyint(double{x} / unit) * unit;
    return std::fabs(nearest) > 0x1.fep127 ? std::copysign(INFINITY, x)
                                           : static_cast<float>(nearest);
}

bool same(float a, float b) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) ||
           (std::isnan(a) && std::isnan(b));
}

class Bfloats : public testing::TestWithParam<Isa> {
 protected:
    const Kernels& kernels() const { return kernels_for(GetParam()); }
    uint32_t bits() { return static_cast<uint32_t>(engine_()); }
    size_t below(size_t end) { return bits() % end; }

    std::vector<uint16_t> numbers_of_file(size_t count, float size) {
        std::vector<uint16_t> out(count);
        for (uint16_t& number : out) number = float_to_bfloat(size * normal_(engine_));
        return out;
    }
    std::vector<float> numbers(size_t count, float size) {
        std::vector<float> out(count);
        for (float& number : out) number = size * normal_(engine_);
        return out;
    }

    static PackedMatrix pack(const std::vector<uint16_t>& weights, size_t columns) {
        const size_t rows = weights.size() / columns;
        const TensorView tensor{
            DType::BF16, {{columns, rows, 1, 1}}, std::as_bytes(std::span(weights))};
        auto matrix = PackedMatrix::allocate(tensor);
        EXPECT_TRUE(matrix);
        matrix->pack(tensor, 0, matrix->panels());
        return std::move(*matrix);
    }

    static float weight(uint16_t number) {
        const float value = bfloat_to_float(number);
        return std::fabs(value) < kLeastBfloat ? 0.0F : value;
    }

    /// Checks the products of all rows, computed `chunk` at a time.
    void check(const std::vector<uint16_t>& weights, const std::vector<float>& x, size_t columns,
               size_t chunk, bool add) {
        const PackedMatrix matrix = pack(weights, columns);
        const size_t rows = x.size() / columns, outputs = weights.size() / columns;
        const size_t stride = matrix.panels() * kPanelRows;
        BfloatBuffer buffer(rows, columns);
        for (size_t row = 0; row < rows; ++row)
            kernels().round_to_bfloats(&x[row * columns], row, 0, buffer.view().blocks(),
                                       buffer.view());
        std::vector<float> out(rows * stride, 0.75F);
        for (size_t panel = 0; panel < matrix.panels(); ++panel)
            for (size_t row = 0; row < rows; row += chunk)
                kernels().multiply_bfloats(matrix, panel, buffer.view(), row,
                                           std::min(row + chunk, rows),
                                           out.data() + panel * kPanelRows, stride, add);
        for (size_t row = 0; row < rows; ++row)
            for (size_t i = 0; i < outputs; ++i) {
                float sum = 0;
                const auto take = [&](size_t c) {
                    if (c >= columns) return;
                    sum = std::fma(weight(weights[i * columns + c]), rounded(x[row * columns + c]),
                                   sum);
                    ASSERT_NE(std::fpclassify(sum), FP_SUBNORMAL);
                };
                for (size_t c = 0; c < columns; c += 2) take(c + 1), take(c);
                const float expected = add ? 0.75F + sum : sum;
                ASSERT_TRUE(same(out[row * stride + i], expected))
                    << out[row * stride + i] << ", not " << expected << ", " << columns
                    << " columns, row " << row << " of " << rows << " by " << chunk;
            }
    }

    std::mt19937 engine_{5};
    std::normal_distribution<float> normal_{0, 1};
    const KernelScope scope_{kernels()};
};

TEST_P(Bfloats, ProductsOfAnyShape) {
    for (int i = 0; i < 60; ++i) {
        const size_t columns = 1 + below(i % 2 == 0 ? 40 : 300), outputs = 1 + below(40);
        const size_t rows = 1 + below(40);
        check(numbers_of_file(columns * outputs, 0.1F), numbers(columns * rows, 2), columns,
              1 + below(rows), i % 3 == 0);
        if (HasFatalFailure()) return;
    }
}

/// With every exponent there is, of weights as of activations, and infinities and NaN among them.
TEST_P(Bfloats, ProductsOfNumbersOfAnySize) {
    for (int i = 0; i < 200; ++i) {
        const size_t columns = 1 + below(70), outputs = 16, rows = 1 + below(20);
        // Near a product of the least normal size; any; or those that there are.
        const auto exponent = [&] {
            return i % 4 == 0 ? 64 + below(12) : i % 4 == 1 ? below(256) : 60 + below(120);
        };
        std::vector<uint16_t> weights(columns * outputs);
        for (uint16_t& number : weights)
            number = static_cast<uint16_t>((bits() & 0x807fU) | exponent() << 7U);
        std::vector<float> x(columns * rows);
        for (float& number : x)
            number = std::bit_cast<float>((bits() & 0x807fffffU) |
                                          static_cast<uint32_t>(exponent() << 23U));
        check(weights, x, columns, 8, false);
        if (HasFatalFailure()) return;
    }
}

/// Powers of two on both sides of the least that is kept.
TEST_P(Bfloats, TinyNumbersAreZerosEverywhere) {
    const std::vector<float> sizes = {0x1p-149F,       0x1p-126F, 0x1p-127F,       0x1p-63F,
                                      0x1.fffffep-57F, 0x1p-56F,  0x1.010002p-56F, 0x1p-55F};
    std::vector<uint16_t> weights;
    for (const float size : sizes) weights.push_back(float_to_bfloat(size));
    for (const float size : sizes) weights.push_back(float_to_bfloat(-size));
    std::vector<float> unpacked(weights.size());
    pack(weights, weights.size()).unpack_row(0, unpacked);
    for (size_t i = 0; i < weights.size(); ++i) EXPECT_EQ(unpacked[i], weight(weights[i]));
    for (const float size : sizes) {
        const std::vector<float> x(weights.size(), size);
        check(weights, x, weights.size(), 1, false);
        check(weights, x, 1, 1, false);
    }
}

/// The least sum that can be left of two products: (1 + u)^2 - (1 + 2u) times the least square,
/// where u is the last bit of a number. It is the least normal number.
TEST_P(Bfloats, WhatIsLeftOfTinyProductsIsNormal) {
    const float least = kLeastBfloat, next = least * 0x1.02p0F, second = least * 0x1.04p0F;
    const std::vector<uint16_t> weights = {float_to_bfloat(-second), float_to_bfloat(next)};
    check(weights, {least, next}, 2, 1, false);
    EXPECT_EQ(std::fma(next, next, -second * least), std::numeric_limits<float>::min());
}

TEST_P(Bfloats, ActivationsAreRoundedToTheNearest) {
    std::vector<float> x = {0.0F,          -0.0F,
                            0x1.01p0F,     0x1.03p0F,
                            -0x1.01p0F,    0x1.010002p0F,
                            0x1.00fffep0F, std::numeric_limits<float>::max(),
                            0x1.fep127F,   0x1.fefffep127F,
                            0x1.ffp127F,   INFINITY,
                            -INFINITY,     NAN,
                            -NAN,          std::bit_cast<float>(0x7f800001U),
                            0x1p-56F,      0x1.fffffep-57F,
                            -0x1p-57F,     std::bit_cast<float>(0x7fffffffU)};
    while (x.size() < 20003) x.push_back(std::bit_cast<float>(bits()));
    BfloatBuffer buffer(2, x.size());
    const BfloatRows& view = buffer.view();
    kernels().round_to_bfloats(x.data(), 1, 0, view.blocks(), view);
    for (size_t c = 0; c < x.size(); ++c) {
        const uint32_t pair = view.pairs[view.at(1, c / kBlock) + c % kBlock / 2];
        const auto number = static_cast<uint16_t>(c % 2 == 0 ? pair : pair >> 16);
        ASSERT_TRUE(same(bfloat_to_float(number), rounded(x[c]))) << x[c];
    }
    EXPECT_EQ(view.pairs[view.at(1, x.size() / kBlock) + 1] >> 16, 0U);  // behind the last
}

INSTANTIATE_TEST_SUITE_P(Isa, Bfloats, testing::ValuesIn(available_isas()),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });

}  // namespace
}  // namespace dunlin
