// Each function turns one block into floats and follows the layout of the format field by field.
// Written apart from kernels/block_codes.cpp on purpose: a slip in one cannot hide in the other.
//
// A code has at most 8 bits, a 16-bit scale 11 and a scale of a k-quant's run 6 or 8 more, so the
// products are exact in f32 and only the final subtraction or addition rounds: every correct
// implementation gives the same bits.

#include "kernels/reference/dequantize.h"

#include <cstring>

#include "base/check.h"
#include "tensor/half.h"

namespace dunlin {
namespace {

template <class T>
T load(const std::byte* p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
}

float half(const std::byte* p) {
    return half_to_float(load<uint16_t>(p));
}

/// Element e of 32 four-bit codes: the first 16 in the low halves of 16 bytes, then the high ones.
int nibble(const std::byte* codes, int e) {
    return load<uint8_t>(codes + e % 16) >> (e < 16 ? 0 : 4) & 15;
}

/// Element e of 32 five-bit codes, whose top bits stand together in the 32-bit `high`.
int five_bits(const std::byte* high, const std::byte* codes, int e) {
    const int top = static_cast<int>(load<uint32_t>(high) >> e & 1U);
    return nibble(codes, e) + 16 * top;
}

void dequantize_f32(const std::byte* block, float* out) {
    *out = load<float>(block);
}
void dequantize_f16(const std::byte* block, float* out) {
    *out = half(block);
}
void dequantize_bf16(const std::byte* block, float* out) {
    *out = bfloat_to_float(load<uint16_t>(block));
}

/// d, 16 bytes of codes.
void dequantize_q4_0(const std::byte* block, float* out) {
    for (int e = 0; e < 32; ++e)
        out[e] = half(block) * static_cast<float>(nibble(block + 2, e) - 8);
}

/// d, m, 16 bytes of codes.
void dequantize_q4_1(const std::byte* block, float* out) {
    for (int e = 0; e < 32; ++e)
        out[e] = half(block) * static_cast<float>(nibble(block + 4, e)) + half(block + 2);
}

/// d, 4 bytes of high bits, 16 bytes of codes.
void dequantize_q5_0(const std::byte* block, float* out) {
    for (int e = 0; e < 32; ++e)
        out[e] = half(block) * static_cast<float>(five_bits(block + 2, block + 6, e) - 16);
}

/// d, m, 4 bytes of high bits, 16 bytes of codes.
void dequantize_q5_1(const std::byte* block, float* out) {
    for (int e = 0; e < 32; ++e)
        out[e] =
            half(block) * static_cast<float>(five_bits(block + 4, block + 8, e)) + half(block + 2);
}

/// d, 32 signed codes.
void dequantize_q8_0(const std::byte* block, float* out) {
    for (int e = 0; e < 32; ++e)
        out[e] = half(block) * static_cast<float>(load<int8_t>(block + 2 + e));
}

struct RunScale {
    float scale, min;
};

/// Scale and minimum of run r of eight in a Q4_K or Q5_K block (d, dmin, 12 bytes). The codes of
/// the first four runs are the low six bits of bytes 0..3 and 4..7; those of the last four have
/// their low four bits in bytes 8..11 and their high two on top of the first eight bytes.
RunScale run_scale(const std::byte* block, int r) {
    const auto packed = [&](int i) { return load<uint8_t>(block + 4 + i); };
    int scale = packed(r % 4) & 63;
    int min = packed(r % 4 + 4) & 63;
    if (r >= 4) {
        scale = (packed(r + 4) & 15) + (packed(r - 4) >> 6) * 16;
        min = (packed(r + 4) >> 4) + (packed(r) >> 6) * 16;
    }
    return {half(block) * static_cast<float>(scale), half(block + 2) * static_cast<float>(min)};
}

/// Code of element e of 256 four-bit codes: runs of 32 share 32 bytes in pairs, low halves first.
int run_nibble(const std::byte* codes, int e) {
    const int run = e / 32;
    return load<uint8_t>(codes + run / 2 * 32 + e % 32) >> (run % 2 * 4) & 15;
}

/// d, dmin, 12 bytes of scales, 128 bytes of codes.
void dequantize_q4_k(const std::byte* block, float* out) {
    for (int e = 0; e < 256; ++e) {
        const auto [scale, min] = run_scale(block, e / 32);
        out[e] = scale * static_cast<float>(run_nibble(block + 16, e)) - min;
    }
}

/// d, dmin, 12 bytes of scales, 32 bytes of high bits (bit r of byte i: element i of run r), codes.
void dequantize_q5_k(const std::byte* block, float* out) {
    for (int e = 0; e < 256; ++e) {
        const auto [scale, min] = run_scale(block, e / 32);
        const int top = load<uint8_t>(block + 16 + e % 32) >> (e / 32) & 1;
        out[e] = scale * static_cast<float>(run_nibble(block + 48, e) + 16 * top) - min;
    }
}

/// 128 bytes of low halves, 64 bytes of high pairs of bits, 16 signed scales, d. In each half of
/// 128 elements the runs 0, 1, 2, 3 of 32 have their low halves in (bytes 0..31 low, 32..63 low,
/// 0..31 high, 32..63 high), and run r its high bits in bits 2r and 2r + 1 of 32 bytes.
void dequantize_q6_k(const std::byte* block, float* out) {
    for (int e = 0; e < 256; ++e) {
        const int side = e / 128;
        const int run = e % 128 / 32;
        const int i = e % 32;
        const int low = load<uint8_t>(block + side * 64 + run % 2 * 32 + i) >> (run / 2 * 4) & 15;
        const int high = load<uint8_t>(block + 128 + side * 32 + i) >> (run * 2) & 3;
        const auto scale = static_cast<float>(load<int8_t>(block + 192 + e / 16));
        out[e] = half(block + 208) * scale * static_cast<float>(low + 16 * high - 32);
    }
}

using DequantizeBlock = void (*)(const std::byte*, float*);

DequantizeBlock dequantize_block(DType dtype) {
    switch (dtype) {
        case DType::F32:
            return dequantize_f32;
        case DType::F16:
            return dequantize_f16;
        case DType::BF16:
            return dequantize_bf16;
        case DType::Q4_0:
            return dequantize_q4_0;
        case DType::Q4_1:
            return dequantize_q4_1;
        case DType::Q5_0:
            return dequantize_q5_0;
        case DType::Q5_1:
            return dequantize_q5_1;
        case DType::Q8_0:
            return dequantize_q8_0;
        case DType::Q4_K:
            return dequantize_q4_k;
        case DType::Q5_K:
            return dequantize_q5_k;
        case DType::Q6_K:
            return dequantize_q6_k;
        default:
            return nullptr;
    }
}

}  // namespace

void dequantize_row(const TensorView& tensor, uint64_t row, std::span<float> out) {
    const BlockFormat& format = block_format(tensor.dtype);
    const DequantizeBlock block = dequantize_block(tensor.dtype);
    CHECK(block != nullptr && row < tensor.shape.rows() && out.size() == tensor.shape.columns());
    const auto bytes = tensor.row(row);
    for (size_t b = 0; b < out.size() / format.block_elements; ++b)
        block(bytes.data() + b * format.block_bytes, out.data() + b * format.block_elements);
}

}  // namespace dunlin
