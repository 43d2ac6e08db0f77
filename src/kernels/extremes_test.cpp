// What random numbers do not meet: codes at the ends of their range, halfway cases, the largest and
// the smallest numbers, and those that are none. On every instruction set of this machine.

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/kernels.h"
#include "tensor/half.h"

namespace dunlin {
namespace {

/// All that have a kernel.
std::vector<DType> quantized_formats() {
    std::vector<DType> formats;
#define BLOCK_FORMAT(name, text, id, elements, bytes, computed) \
    if ((computed) && (elements) > 1) formats.push_back(DType::name);
#include "tensor/block_formats.def"
#undef BLOCK_FORMAT
    return formats;
}

class Extremes : public testing::TestWithParam<Isa> {
 protected:
    static constexpr size_t kColumns = 512, kRows = 35;
    const Kernels& kernels() const { return kernels_for(GetParam()); }
    const Kernels& portable() const { return kernels_for(Isa::Portable); }
    bool coin() { return (engine_() & 1U) != 0; }

    /// A panel whose rows have codes of the same byte, or of two by chance; its scales are one.
    PackedMatrix panel_of(DType dtype) {
        constexpr uint8_t kBytes[] = {0x00, 0xff, 0x80, 0x7f, 0x0f, 0xf0};
        const BlockFormat& format = block_format(dtype);
        std::vector<std::byte> data(16 * kColumns / format.block_elements * format.block_bytes);
        const size_t row_bytes = data.size() / 16;
        for (size_t at = 0; at < data.size(); ++at) {
            const size_t row = at / row_bytes;
            const size_t kind = row < 6 ? row : coin() ? row % 6 : (row + 1) % 6;
            data[at] = std::byte{kBytes[kind]};
        }
        const uint16_t one = float_to_half(1);
        const bool has_min = dtype == DType::Q4_1 || dtype == DType::Q5_1 || dtype == DType::Q4_K ||
                             dtype == DType::Q5_K;
        for (size_t at = 0; at < data.size(); at += format.block_bytes) {
            std::memcpy(&data[at + (dtype == DType::Q6_K ? 208 : 0)], &one, 2);
            if (has_min) std::memcpy(&data[at + 2], &one, 2);
        }
        const TensorView tensor{dtype, {{kColumns, 16, 1, 1}}, data};
        auto matrix = PackedMatrix::allocate(tensor);
        EXPECT_TRUE(matrix);
        matrix->pack(tensor, 0, 1);
        return std::move(*matrix);
    }

    std::vector<float> product(const Kernels& kernels, const PackedMatrix& matrix,
                               const QuantizedRows& x, size_t rows) {
        std::vector<float> out(rows * 16);
        const KernelScope scope(kernels);
        kernels.multiply_quantized(matrix, 0, x, 0, rows, out.data(), 16, false);
        return out;
    }

    std::mt19937 engine_{3};
    const KernelScope scope_{kernels()};
};

/// Sixteen bits are enough for what is added up in them, and nothing saturates.
TEST_P(Extremes, CodesAtTheEndsOfTheirRange) {
    QuantizedBuffer buffer(kRows, kColumns);
    const QuantizedRows& x = buffer.view();
    for (size_t row = 0; row < kRows; ++row)
        for (size_t b = 0; b < x.blocks(); ++b) {
            int8_t* codes = x.codes + x.code_at(row, b);
            for (size_t k = 0; k < kBlock; ++k)
                codes[k] = row == 0 || (row != 1 && coin()) ? 127 : -127;
            const size_t at = b * x.row_stride + row;
            for (size_t half = 0; half < 2; ++half)
                for (size_t k = 0; k < 16; ++k) x.sums[2 * at + half] += codes[16 * half + k];
            x.scales[at] = 1;
            x.offsets[at] = static_cast<float>(x.sums[2 * at] + x.sums[2 * at + 1]);
        }
    for (const DType dtype : quantized_formats()) {
        const PackedMatrix matrix = panel_of(dtype);
        const auto out = product(kernels(), matrix, x, kRows);
        EXPECT_EQ(out, product(portable(), matrix, x, kRows)) << to_string(dtype);
        for (size_t lane = 0; lane < 16; ++lane) {
            std::vector<float> w(kColumns);
            matrix.unpack_row(lane, w);
            for (size_t row = 0; row < kRows; ++row) {
                double expected = 0, size = 0;
                for (size_t k = 0; k < kColumns; ++k) {
                    const double one =
                        double{w[k]} * x.codes[x.code_at(row, k / kBlock) + k % kBlock];
                    expected += one, size += std::fabs(one);
                }
                ASSERT_NEAR(out[row * 16 + lane], expected, 1e-6 * size)
                    << to_string(dtype) << " row " << row << " lane " << lane;
            }
        }
    }
}

struct OneBlock {
    OneBlock(const Kernels& kernels, std::span<const float> numbers) {
        kernels.quantize(numbers.data(), 0, 0, 1, x);
    }
    QuantizedBuffer buffer{1, kBlock};
    const QuantizedRows& x = buffer.view();
};

TEST_P(Extremes, HalfwayGoesToTheEvenCode) {
    for (const float first : {0.5F, 16.5F, 32.5F, 96.5F}) {
        std::vector<float> numbers(kBlock);
        for (size_t i = 0; i < kBlock; i += 2) {
            numbers[i] = first + 0.5F * static_cast<float>(i);
            numbers[i + 1] = -numbers[i];
        }
        numbers[30] = -127, numbers[31] = 127;  // so that a step is one
        const OneBlock block(kernels(), numbers);
        int32_t sum = 0;
        for (size_t i = 0; i < kBlock; ++i) {
            EXPECT_EQ(block.x.codes[i], std::nearbyint(numbers[i])) << numbers[i];
            sum += block.x.codes[i];
        }
        EXPECT_EQ(block.x.scales[0], 1.0F);
        EXPECT_EQ(block.x.sums[0] + block.x.sums[1], sum);
        EXPECT_EQ(block.x.offsets[0], static_cast<float>(sum));
    }
}

TEST_P(Extremes, HalvesAreRoundedToTheNearest) {
    const std::vector<float> numbers = {
        0.0F,     -0.0F,      1.0F + 0x1p-11F, 1.0F + 0x3p-11F, -1.0F - 0x3p-11F,
        65504.0F, 65519.996F, 65520.0F,        -70000.0F,       0x1p-24F,
        0x1p-25F, 0x1.8p-25F, -0x1.2p-14F,     0x1p-30F,        0x1.ffep-15F,
        INFINITY, -INFINITY,  0x1.004p0F,      0x1.0020002p0F};
    const KvLayout layout{KvType::F16, static_cast<uint32_t>(numbers.size())};
    std::vector<uint16_t> block(layout.block_bytes() / 2);
    kernels().store_kv(numbers.data(), numbers.data(), layout, 0,
                       reinterpret_cast<std::byte*>(block.data()));
    for (size_t i = 0; i < numbers.size(); ++i) {
        EXPECT_EQ(block[i * kKvBlockTokens], float_to_half(numbers[i])) << numbers[i];
        EXPECT_EQ(block[layout.values_at() / 2 + i], float_to_half(numbers[i])) << numbers[i];
    }
}

/// The largest as the smallest: either there are codes within half a step, or what is lost is
/// nothing.
TEST_P(Extremes, NumbersOfAnySize) {
    for (const float size : {3.4e38F, 3.1e38F, 1e30F, 1e-30F, 3.8e-37F, 3.7e-37F, FLT_MIN, 1e-40F,
                             std::numeric_limits<float>::denorm_min(), 0.0F})
        for (const float first : {size, 0.0F, 1000.0F}) {
            std::vector<float> numbers(kBlock);
            for (size_t i = 0; i < kBlock; ++i)
                numbers[i] =
                    size * std::sin(static_cast<float>(i * i)) * (i % 2 == 0 ? 1.0F : -1.0F);
            numbers[5] = first, numbers[6] = -size;
            const OneBlock here(kernels(), numbers), there(portable(), numbers);
            const QuantizedRows &a = here.x, &b = there.x;
            EXPECT_TRUE(std::equal(a.codes, a.codes + kBlock, b.codes)) << size;
            EXPECT_EQ(a.scales[0], b.scales[0]);
            EXPECT_EQ(a.offsets[0], b.offsets[0]);
            EXPECT_EQ(a.places[0], b.places[0]);
            EXPECT_EQ(a.sums[0], b.sums[0]);
            for (size_t i = 0; i < kBlock; ++i) {
                EXPECT_GE(a.codes[i], -127) << size;
                const float kept = a.places[0] == i + 1 ? a.outliers[0] : a.scales[0] * a.codes[i];
                EXPECT_LE(std::fabs(numbers[i] - kept), std::max(0.501F * a.scales[0], 4e-37F))
                    << size << " " << first << " " << i;
            }
        }
}

/// One number that is none, anywhere among others, makes all of its row's products NaN, and of no
/// other row.
TEST_P(Extremes, NumbersThatAreNoneShow) {
    std::vector<PackedMatrix> matrices;
    for (const DType dtype : quantized_formats()) matrices.push_back(panel_of(dtype));
    constexpr size_t kTokens = 17;
    QuantizedBuffer buffer(kTokens, kColumns);
    for (const float bad : {NAN, -NAN, INFINITY, -INFINITY})
        for (size_t place = 0; place < kBlock; ++place)
            for (const float others : {1.0F, 0.0F, INFINITY}) {
                std::vector<float> numbers(kColumns, 1.0F);
                for (size_t t = 0; t < kTokens; ++t)
                    kernels().quantize(numbers.data(), t, 0, kColumns / kBlock, buffer.view());
                std::fill_n(numbers.begin() + kBlock, kBlock, others);
                numbers[kBlock + (place + 7) % kBlock] = 1000;  // an outlier
                numbers[kBlock + place] = bad;
                kernels().quantize(numbers.data(), place % kTokens, 0, kColumns / kBlock,
                                   buffer.view());
                for (const PackedMatrix& matrix : matrices) {
                    const auto out = product(kernels(), matrix, buffer.view(), kTokens);
                    for (size_t i = 0; i < out.size(); ++i)
                        ASSERT_EQ(std::isnan(out[i]), i / 16 == place % kTokens)
                            << bad << " at " << place << " among " << others;
                }
            }
}

INSTANTIATE_TEST_SUITE_P(Isa, Extremes, testing::ValuesIn(available_isas()),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });

}  // namespace
}  // namespace dunlin
