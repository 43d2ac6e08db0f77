#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/bfloat_rows.h"
#include "kernels/cpu/sum_bytes.h"

namespace dunlin {

/// 16 floats in one register, and VNNI's byte products. See simd_portable.h for the meanings. With
/// kBf16, pairs of BF16 are multiplied by one instruction (AVX512-BF16, which newer processors
/// have).
template <bool kBf16>
struct Avx512Lanes {
    using F = __m512;
    static constexpr int kTokens = 8;
    static constexpr int kStrips = 4;
    static constexpr bool kLineAtOnce = true;

    static F zero() { return _mm512_setzero_ps(); }
    static F all(float x) { return _mm512_set1_ps(x); }
    static F load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, F a) { _mm512_storeu_ps(p, a); }
    static F load_half(const uint16_t* p) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static F load_bytes(const int8_t* p) {
        const auto bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
    }
    static void store_half(uint16_t* p, F a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                            _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    }
    static F add(F a, F b) { return _mm512_add_ps(a, b); }
    static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
    static F div(F a, F b) { return _mm512_div_ps(a, b); }
    static F max(F a, F b) { return _mm512_max_ps(a, b); }
    static F min(F a, F b) { return _mm512_min_ps(a, b); }
    static F max_size(F a, F b) {
        return _mm512_castsi512_ps(
            _mm512_max_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
    }
    static F min_size(F a, F b) {
        return _mm512_castsi512_ps(
            _mm512_min_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
    }
    template <int Apart>
    static F partner(F a) {
        if constexpr (Apart >= 4)
            return _mm512_shuffle_f32x4(a, a, Apart == 8 ? 0x4e : 0xb1);
        else
            return _mm512_permute_ps(a, Apart == 2 ? 0x4e : 0xb1);
    }
    static uint32_t equal_lanes(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
    static F unless_equal(F x, F a, F b) {
        return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ), x);
    }
    static float first_lane(F a) { return _mm512_cvtss_f32(a); }
    static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
    static F abs(F a) { return _mm512_abs_ps(a); }
    static F round(F a) {
        return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }
    static F power_of_two(F n) {
        const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
        return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
    }
    static F first(F a, F b, int count) {
        const int n = count < 0 ? 0 : count > 16 ? 16 : count;
        return _mm512_mask_blend_ps(static_cast<__mmask16>((1U << n) - 1U), b, a);
    }
    static void store_bytes(int8_t* p, F a) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                         _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(a)));
    }

    static uint64_t equal_bytes(const uint8_t* p, uint8_t value) {
        return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(p),
                                      _mm512_set1_epi8(static_cast<char>(value)));
    }
    static int32_t sum_bytes(const int8_t* p) { return sum_16_bytes<Avx512Lanes>(p); }

    static void store_bfloats(uint32_t* p, F a) {
        const __m512i bits = _mm512_castps_si512(a), high = _mm512_srli_epi32(bits, 16);
        const __m512i is_odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
        const __m512i nearest = _mm512_srli_epi32(
            _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), is_odd), 16);
        const __m512i result = _mm512_mask_or_epi32(nearest, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q),
                                                    high, _mm512_set1_epi32(0x40));
        const __mmask16 large =
            _mm512_cmp_ps_mask(_mm512_abs_ps(a), _mm512_set1_ps(kLeastBfloat), _CMP_NLT_UQ);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                            _mm512_maskz_cvtepi32_epi16(large, result));
    }
    static constexpr bool kAddsPairs = kBf16;
    static F add_pairs(F sum, const uint32_t* w, const uint32_t* x)
        requires kBf16
    {
        return _mm512_dpbf16_ps(sum, std::bit_cast<__m512bh>(_mm512_loadu_si512(w)),
                                std::bit_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(*x))));
    }
    struct Halves {
        F odd, even;
    };
    static Halves load_pairs(const uint32_t* p) {
        const __m512i pairs = _mm512_loadu_si512(p);
        return {_mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536))),
                _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16))};
    }

    using I = __m512i;
    static I all_int(int32_t x) { return _mm512_set1_epi32(x); }
    static I sub_int(I a, I b) { return _mm512_sub_epi32(a, b); }
    static F to_float(I a) { return _mm512_cvtepi32_ps(a); }

    template <int N>
    [[gnu::always_inline]] static void dot_u4(const uint8_t* codes, const int8_t* x, I (&sums)[N]) {
        const __m512i low = _mm512_set1_epi8(15);
        for (int t = 0; t < N; ++t) sums[t] = _mm512_setzero_si512();
        for (int g = 0; g < 4; ++g) {
            const __m512i both = _mm512_loadu_si512(codes + 64 * g);
            const __m512i w0 = _mm512_and_si512(both, low);
            const __m512i w1 = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
            for (int t = 0; t < N; ++t) {
                sums[t] = _mm512_dpbusd_epi32(sums[t], w0, four(x + t * 32 + 4 * g));
                sums[t] = _mm512_dpbusd_epi32(sums[t], w1, four(x + t * 32 + 4 * g + 16));
            }
        }
    }

    /// The weights must be the unsigned side, so each code comes as code + 128.
    static constexpr int kSignedBias = 128;
    template <int N>
    [[gnu::always_inline]] static void dot_s8(const uint8_t* codes, const int8_t* x, int begin,
                                              int end, I (&sums)[N]) {
        const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
        for (int t = 0; t < N; ++t) sums[t] = _mm512_setzero_si512();
        for (int g = begin; g < end; ++g) {
            const __m512i w = _mm512_xor_si512(_mm512_loadu_si512(codes + 64 * g), flip);
            for (int t = 0; t < N; ++t)
                sums[t] = _mm512_dpbusd_epi32(sums[t], w, four(x + t * 32 + 4 * g));
        }
    }

    static F nibbles(const uint8_t* words, int bit) {
        const __m512i w = _mm512_srl_epi32(_mm512_loadu_si512(words), _mm_cvtsi32_si128(bit));
        return _mm512_cvtepi32_ps(_mm512_and_si512(w, _mm512_set1_epi32(15)));
    }
    static F signed_bytes(const uint8_t* words, int bit) {
        const __m512i w = _mm512_sll_epi32(_mm512_loadu_si512(words), _mm_cvtsi32_si128(24 - bit));
        return _mm512_cvtepi32_ps(_mm512_srai_epi32(w, 24));
    }

 private:
    static __m512i four(const int8_t* p) {
        return _mm512_castps_si512(_mm512_set1_ps(*reinterpret_cast<const float*>(p)));
    }
};

using Avx512 = Avx512Lanes<false>;
using Avx512Bf16 = Avx512Lanes<true>;

}  // namespace dunlin
