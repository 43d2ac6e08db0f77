#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/bfloat_rows.h"
#include "tensor/half.h"

namespace dunlin {

/// The 16 lanes that every kernel is written in, for any machine: what an operation here returns,
/// every other instruction set returns bit for bit. Plain arrays, no tricks; the oracle of its
/// siblings and the fallback where there are none.
struct Portable {
    struct F {
        float v[16];
    };
    static constexpr int kTokens = 4;  // activations that one pass over the weights serves
    static constexpr int kStrips = 1;  // of 16 keys, or 16 elements, that one pass of attention has
    static constexpr bool kLineAtOnce = false;  // whether a register holds a cache line

    static F zero() { return {}; }
    static F all(float x) {
        return each([&](int) { return x; });
    }
    static F load(const float* p) {
        return each([&](int i) { return p[i]; });
    }
    static void store(float* p, const F& a) {
        for (int i = 0; i < 16; ++i) p[i] = a.v[i];
    }
    static F load_half(const uint16_t* p) {
        return each([&](int i) { return half_to_float(p[i]); });
    }
    /// 16 signed bytes.
    static F load_bytes(const int8_t* p) {
        return each([&](int i) { return static_cast<float>(p[i]); });
    }
    static void store_half(uint16_t* p, const F& a) {
        for (int i = 0; i < 16; ++i) p[i] = float_to_half(a.v[i]);
    }
    static F add(const F& a, const F& b) {
        return each([&](int i) { return a.v[i] + b.v[i]; });
    }
    static F mul(const F& a, const F& b) {
        return each([&](int i) { return a.v[i] * b.v[i]; });
    }
    static F div(const F& a, const F& b) {
        return each([&](int i) { return a.v[i] / b.v[i]; });
    }
    /// As x86 has it: b where either is NaN.
    static F max(const F& a, const F& b) {
        return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
    }
    static F min(const F& a, const F& b) {
        return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
    }
    /// Of sizes, which have no sign: NaN is larger than any number. Their bits are in that order.
    static F max_size(const F& a, const F& b) {
        return each([&](int i) { return bits(a.v[i]) > bits(b.v[i]) ? a.v[i] : b.v[i]; });
    }
    static F min_size(const F& a, const F& b) {
        return each([&](int i) { return bits(a.v[i]) < bits(b.v[i]) ? a.v[i] : b.v[i]; });
    }
    /// Lane i ^ Apart in lane i; Apart is 8, 4, 2 or 1.
    template <int Apart>
    static F partner(const F& a) {
        return each([&](int i) { return a.v[i ^ Apart]; });
    }
    /// The lanes in which they are equal, the first in the lowest bit.
    static uint32_t equal_lanes(const F& a, const F& b) {
        uint32_t lanes = 0;
        for (int i = 0; i < 16; ++i) lanes |= uint32_t{a.v[i] == b.v[i]} << i;
        return lanes;
    }
    /// x, and 0 where a and b are equal.
    static F unless_equal(const F& x, const F& a, const F& b) {
        return each([&](int i) { return a.v[i] == b.v[i] ? 0.0F : x.v[i]; });
    }
    static float first_lane(const F& a) { return a.v[0]; }
    /// a * b + c, rounded once.
    static F fma(const F& a, const F& b, const F& c) {
        return each([&](int i) { return std::fma(a.v[i], b.v[i], c.v[i]); });
    }
    static F abs(const F& a) {
        return each([&](int i) { return std::fabs(a.v[i]); });
    }
    /// To the nearest integer, ties to even.
    static F round(const F& a) {
        return each([&](int i) { return std::nearbyint(a.v[i]); });
    }
    /// 2^n for integers n in -126 .. 127.
    static F power_of_two(const F& n) {
        return each([&](int i) {
            return std::bit_cast<float>(static_cast<uint32_t>(static_cast<int>(n.v[i]) + 127)
                                        << 23);
        });
    }
    /// a in the first `count` lanes, b in the others.
    static F first(const F& a, const F& b, int count) {
        return each([&](int i) { return i < count ? a.v[i] : b.v[i]; });
    }
    /// Integers in -127 .. 127 as bytes.
    static void store_bytes(int8_t* p, const F& a) {
        for (int i = 0; i < 16; ++i) p[i] = static_cast<int8_t>(a.v[i]);
    }

    /// Which of 64 bytes have a value, the first in the lowest bit.
    static uint64_t equal_bytes(const uint8_t* p, uint8_t value) {
        uint64_t mask = 0;
        for (int i = 0; i < 64; ++i) mask |= uint64_t{p[i] == value} << i;
        return mask;
    }
    /// Of 16 bytes.
    static int32_t sum_bytes(const int8_t* p) {
        int32_t sum = 0;
        for (int i = 0; i < 16; ++i) sum += p[i];
        return sum;
    }

    /// 16 numbers rounded to BF16 as BfloatRows keeps them, two in a word.
    static void store_bfloats(uint32_t* p, const F& a) {
        const auto rounded = [](float x) -> uint32_t {
            return std::fabs(x) < kLeastBfloat ? 0 : float_to_bfloat(x);
        };
        for (int i = 0; i < 8; ++i) p[i] = rounded(a.v[2 * i]) | rounded(a.v[2 * i + 1]) << 16;
    }
    /// Whether one instruction adds the products of pairs of BF16: then there is add_pairs(sum, w,
    /// x), which adds those of 16 words at `w` with the one at `x`, first of the odd columns.
    static constexpr bool kAddsPairs = false;
    /// The upper and the lower halves of 16 words, as numbers.
    struct Halves {
        F odd, even;
    };
    static Halves load_pairs(const uint32_t* p) {
        return {each([&](int i) { return std::bit_cast<float>(p[i] & 0xffff0000U); }),
                each([&](int i) { return std::bit_cast<float>(p[i] << 16); })};
    }

    struct I {
        int32_t v[16];
    };
    static I all_int(int32_t x) {
        I out;
        for (int32_t& lane : out.v) lane = x;
        return out;
    }
    static I sub_int(const I& a, const I& b) {
        I out;
        for (int i = 0; i < 16; ++i) out.v[i] = a.v[i] - b.v[i];
        return out;
    }
    static F to_float(const I& a) {
        return each([&](int i) { return static_cast<float>(a.v[i]); });
    }

    /// Products of one block of unsigned 4-bit codes (see PackedMatrix) with N activations of 32
    /// bytes, one behind the other, summed for each of the 16 rows.
    template <int N>
    static void dot_u4(const uint8_t* codes, const int8_t* x, I (&sums)[N]) {
        for (int t = 0; t < N; ++t) {
            sums[t] = {};
            for (int k = 0; k < 32; ++k)
                for (int i = 0; i < 16; ++i) {
                    const int both = codes[k / 4 % 4 * 64 + 4 * i + k % 4];
                    sums[t].v[i] += (k < 16 ? both & 15 : both >> 4) * x[t * 32 + k];
                }
        }
    }
    /// The same for signed bytes, over the groups of four columns [begin, end) of the eight. Gives
    /// the sum over (code + kSignedBias) * x; the caller takes the excess off.
    static constexpr int kSignedBias = 0;
    template <int N>
    static void dot_s8(const uint8_t* codes, const int8_t* x, int begin, int end, I (&sums)[N]) {
        for (int t = 0; t < N; ++t) {
            sums[t] = {};
            for (int k = 4 * begin; k < 4 * end; ++k)
                for (int i = 0; i < 16; ++i)
                    sums[t].v[i] +=
                        static_cast<int8_t>(codes[k / 4 * 64 + 4 * i + k % 4]) * x[t * 32 + k];
        }
    }

    /// The four bits from `bit` on of each of 16 words of 32 bits, as numbers.
    static F nibbles(const uint8_t* words, int bit) {
        return each(
            [&](int i) { return static_cast<float>(words[4 * i + bit / 8] >> (bit % 8) & 15); });
    }
    /// The signed byte from `bit` on of each word, as numbers.
    static F signed_bytes(const uint8_t* words, int bit) {
        return each(
            [&](int i) { return static_cast<float>(static_cast<int8_t>(words[4 * i + bit / 8])); });
    }

 private:
    static uint32_t bits(float x) { return std::bit_cast<uint32_t>(x); }
    template <class Lane>
    static F each(Lane&& lane) {
        F out;
        for (int i = 0; i < 16; ++i) out.v[i] = lane(i);
        return out;
    }
};

}  // namespace dunlin
