// The bit layouts of the quantized block formats, as ggml defines them. Codes of the k-quants are
// grouped in superblocks of 256 elements, whose scales are themselves 6-bit or 8-bit codes; the
// products of scale and code scale have at most 19 significant bits, so f32 holds them exactly.

#include "kernels/block_codes.h"

#include <cstring>

#include "base/check.h"
#include "tensor/half.h"

namespace dunlin {
namespace {

float half_at(const uint8_t* p) {
    uint16_t bits = 0;
    std::memcpy(&bits, p, sizeof bits);
    return half_to_float(bits);
}

/// 32 nibbles in 16 bytes: elements 0..15 are the low ones, 16..31 the high ones.
void read_nibbles(const uint8_t* q, int8_t* codes) {
    for (size_t i = 0; i < 16; ++i) {
        codes[i] = static_cast<int8_t>(q[i] & 15);
        codes[i + 16] = static_cast<int8_t>(q[i] >> 4);
    }
}

/// As read_nibbles, with a fifth bit for each element in a 32-bit mask; `zero` is subtracted.
void read_five_bits(const uint8_t* mask, const uint8_t* q, int zero, int8_t* codes) {
    uint32_t high = 0;
    std::memcpy(&high, mask, sizeof high);
    read_nibbles(q, codes);
    for (size_t i = 0; i < kBlock; ++i)
        codes[i] = static_cast<int8_t>((codes[i] | ((high >> i & 1U) << 4)) - zero);
}

/// The 6-bit scale and min of sub-block `j` of a Q4_K or Q5_K superblock, packed in 12 bytes.
void read_scale_min(const uint8_t* packed, size_t j, int& scale, int& min) {
    if (j < 4) {
        scale = packed[j] & 63;
        min = packed[j + 4] & 63;
    } else {
        scale = (packed[j + 4] & 15) | (packed[j - 4] >> 6 << 4);
        min = (packed[j + 4] >> 4) | (packed[j] >> 6 << 4);
    }
}

/// Q4_K: d, dmin, scales[12], q[128]. Q5_K: d, dmin, scales[12], high[32], q[128].
void read_k45(const uint8_t* super, size_t j, bool five, BlockCodes& out) {
    int scale = 0;
    int min = 0;
    read_scale_min(super + 4, j, scale, min);
    out.scale[0] = half_at(super) * static_cast<float>(scale);
    out.min = -(half_at(super + 2) * static_cast<float>(min));
    const uint8_t* high = super + 16;
    const uint8_t* q = super + (five ? 48 : 16) + 32 * (j / 2);
    for (size_t i = 0; i < kBlock; ++i) {
        int code = j % 2 == 0 ? q[i] & 15 : q[i] >> 4;
        if (five) code |= (high[i] >> j & 1) << 4;
        out.codes[i] = static_cast<int8_t>(code);
    }
}

/// Q6_K: low[128], high[64], scales[16] (int8), d. Halves of 128 elements, in each four runs of 32.
void read_k6(const uint8_t* super, size_t j, BlockCodes& out) {
    const size_t half = j / 4;
    const size_t run = j % 4;
    const uint8_t* low = super + 64 * half + 32 * (run % 2);
    const uint8_t* high = super + 128 + 32 * half;
    for (size_t i = 0; i < kBlock; ++i) {
        const int nibble = run < 2 ? low[i] & 15 : low[i] >> 4;
        const int upper = high[i] >> (2 * run) & 3;
        out.codes[i] = static_cast<int8_t>((nibble | upper << 4) - 32);
    }
    const float d = half_at(super + 208);
    for (size_t s = 0; s < 2; ++s) {
        int8_t scale = 0;
        std::memcpy(&scale, super + 192 + 8 * half + 2 * run + s, 1);
        out.scale[s] = d * static_cast<float>(scale);
    }
}

}  // namespace

PackedFormat packed_format(DType dtype) {
    using enum PackedFormat::Codes;
    switch (dtype) {
        case DType::Q4_0:
            return {.codes = U4, .zero = 8};
        case DType::Q4_1:
            return {.codes = U4, .has_min = true};
        case DType::Q5_0:
            return {.codes = S8};
        case DType::Q5_1:
            return {.codes = S8, .has_min = true};
        case DType::Q8_0:
            return {.codes = S8};
        case DType::Q4_K:
            return {.codes = U4, .wide_scales = true, .has_min = true};
        case DType::Q5_K:
            return {.codes = S8, .wide_scales = true, .has_min = true};
        case DType::Q6_K:
            return {.codes = S8, .wide_scales = true, .scales = 2};
        case DType::F16:
            return {.codes = F16};
        case DType::BF16:
            return {.codes = BF16};
        default:
            return {.codes = F32};
    }
}

void read_block_codes(DType dtype, const std::byte* row, size_t block, BlockCodes& out) {
    const BlockFormat& format = block_format(dtype);
    const size_t in_super = format.block_elements / kBlock;
    const auto* p = reinterpret_cast<const uint8_t*>(row) + block / in_super * format.block_bytes;
    out.min = 0.0F;
    if (format.block_elements == kBlock) out.scale[0] = half_at(p);
    switch (dtype) {
        case DType::Q4_0:
            read_nibbles(p + 2, out.codes);
            break;
        case DType::Q4_1:
            out.min = half_at(p + 2), read_nibbles(p + 4, out.codes);
            break;
        case DType::Q5_0:
            read_five_bits(p + 2, p + 6, 16, out.codes);
            break;
        case DType::Q5_1:
            out.min = half_at(p + 2), read_five_bits(p + 4, p + 8, 0, out.codes);
            break;
        case DType::Q8_0:
            std::memcpy(out.codes, p + 2, kBlock);
            break;
        case DType::Q4_K:
            read_k45(p, block % in_super, false, out);
            break;
        case DType::Q5_K:
            read_k45(p, block % in_super, true, out);
            break;
        case DType::Q6_K:
            read_k6(p, block % in_super, out);
            break;
        default:
            CHECK(false);
    }
}

}  // namespace dunlin
