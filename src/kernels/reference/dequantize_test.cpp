#include "kernels/reference/dequantize.h"

#include <bit>
#include <cstring>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/block_codes.h"

namespace dunlin {
namespace {

struct Golden {
    DType dtype;
    std::string_view stored, values;  // hexadecimal
};

constexpr Golden kGoldens[] = {
#define GOLDEN(name, stored, values) {DType::name, stored, values},
#include "kernels/reference/dequantize_golden.inc"
#undef GOLDEN
};

constexpr uint64_t kRows = 2;
constexpr uint64_t kColumns = 256;

std::vector<std::byte> from_hex(std::string_view text) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    std::vector<std::byte> bytes;
    for (size_t i = 0; i + 1 < text.size(); i += 2)
        bytes.push_back(static_cast<std::byte>(digit(text[i]) * 16 + digit(text[i + 1])));
    return bytes;
}

class DequantizeTest : public testing::TestWithParam<Golden> {
 protected:
    const std::vector<std::byte> stored_ = from_hex(GetParam().stored);
    const TensorView tensor_{GetParam().dtype, {{kColumns, kRows, 1, 1}}, stored_};
};

TEST_P(DequantizeTest, GivesTheBitsOfTheGgufPackage) {
    ASSERT_EQ(stored_.size(), tensor_bytes(tensor_.dtype, tensor_.shape));
    const auto expected = from_hex(GetParam().values);
    ASSERT_EQ(expected.size(), kRows * kColumns * sizeof(float));
    for (uint64_t row = 0; row < kRows; ++row) {
        std::vector<float> values(kColumns);
        dequantize_row(tensor_, row, values);
        for (size_t i = 0; i < kColumns; ++i) {
            float value = 0;
            std::memcpy(&value, &expected[(row * kColumns + i) * sizeof value], sizeof value);
            ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(value))
                << "row " << row << " element " << i << ": " << values[i] << ", not " << value;
        }
    }
}

/// What the kernels read from the same bytes, put together again.
TEST_P(DequantizeTest, AgreesWithTheCodesThatTheKernelsPack) {
    const PackedFormat format = packed_format(tensor_.dtype);
    if (!format.quantized()) return;
    for (uint64_t row = 0; row < kRows; ++row) {
        std::vector<float> values(kColumns);
        dequantize_row(tensor_, row, values);
        for (size_t i = 0; i < kColumns; ++i) {
            BlockCodes block;
            read_block_codes(tensor_.dtype, tensor_.row(row).data(), i / kBlock, block);
            const size_t e = i % kBlock;
            const float scale = block.scale[format.scales == 2 && e >= 16 ? 1 : 0];
            const auto code = static_cast<float>(block.codes[e] - format.zero);
            ASSERT_EQ(values[i], scale * code + block.min) << "row " << row << " element " << i;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(AllFormats, DequantizeTest, testing::ValuesIn(kGoldens),
                         [](const auto& test) { return std::string(to_string(test.param.dtype)); });

}  // namespace
}  // namespace dunlin
