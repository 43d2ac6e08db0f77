#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/bfloat_rows.h"
#include "kernels/cpu/sum_bytes.h"

namespace dunlin {

/// 16 floats in two registers. See simd_portable.h for what each operation means. With kVnni,
/// products of bytes are added up in 32 bits by one instruction (AVX-VNNI, which newer processors
/// have that lack AVX-512).
template <bool kVnni>
struct Avx2Lanes {
    struct F {
        __m256 lo, hi;
    };
    static constexpr int kTokens = 4;
    static constexpr int kStrips = 1;
    static constexpr bool kLineAtOnce = false;

    static F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
    static F all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
    static F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
    static void store(float* p, F a) {
        _mm256_storeu_ps(p, a.lo);
        _mm256_storeu_ps(p + 8, a.hi);
    }
    static F load_half(const uint16_t* p) {
        const auto* at = reinterpret_cast<const __m128i*>(p);
        return {_mm256_cvtph_ps(_mm_loadu_si128(at)), _mm256_cvtph_ps(_mm_loadu_si128(at + 1))};
    }
    static F load_bytes(const int8_t* p) {
        const auto eight = [](const int8_t* at) {
            const auto bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at));
            return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
        };
        return {eight(p), eight(p + 8)};
    }
    static void store_half(uint16_t* p, F a) {
        auto* at = reinterpret_cast<__m128i*>(p);
        _mm_storeu_si128(at, _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT));
        _mm_storeu_si128(at + 1, _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT));
    }
    static F add(F a, F b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
    static F mul(F a, F b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
    static F div(F a, F b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
    static F max(F a, F b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
    static F min(F a, F b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
    static F max_size(F a, F b) {
        return {floats(_mm256_max_epi32(ints(a.lo), ints(b.lo))),
                floats(_mm256_max_epi32(ints(a.hi), ints(b.hi)))};
    }
    static F min_size(F a, F b) {
        return {floats(_mm256_min_epi32(ints(a.lo), ints(b.lo))),
                floats(_mm256_min_epi32(ints(a.hi), ints(b.hi)))};
    }
    template <int Apart>
    static F partner(F a) {
        if constexpr (Apart == 8)
            return {a.hi, a.lo};
        else if constexpr (Apart == 4)
            return {_mm256_permute2f128_ps(a.lo, a.lo, 1), _mm256_permute2f128_ps(a.hi, a.hi, 1)};
        else
            return {_mm256_permute_ps(a.lo, Apart == 2 ? 0x4e : 0xb1),
                    _mm256_permute_ps(a.hi, Apart == 2 ? 0x4e : 0xb1)};
    }
    static uint32_t equal_lanes(F a, F b) {
        return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ))) |
               static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ)))
                   << 8;
    }
    static F unless_equal(F x, F a, F b) {
        return {_mm256_andnot_ps(_mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ), x.lo),
                _mm256_andnot_ps(_mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ), x.hi)};
    }
    static float first_lane(F a) { return _mm256_cvtss_f32(a.lo); }
    static F fma(F a, F b, F c) {
        return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
    }
    static F abs(F a) {
        const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
        return {_mm256_and_ps(a.lo, mask), _mm256_and_ps(a.hi, mask)};
    }
    static F round(F a) {
        constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        return {_mm256_round_ps(a.lo, kNearest), _mm256_round_ps(a.hi, kNearest)};
    }
    static F power_of_two(F n) { return {power8(n.lo), power8(n.hi)}; }
    static F first(F a, F b, int count) {
        const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        const __m256 lo = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(count), lanes));
        const __m256 hi =
            _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(count - 8), lanes));
        return {_mm256_blendv_ps(b.lo, a.lo, lo), _mm256_blendv_ps(b.hi, a.hi, hi)};
    }
    static void store_bytes(int8_t* p, F a) {
        const __m256i words =
            _mm256_packs_epi32(_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi));
        const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);
        _mm_storeu_si128(
            reinterpret_cast<__m128i*>(p),
            _mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
    }

    static uint64_t equal_bytes(const uint8_t* p, uint8_t value) {
        const __m256i wanted = _mm256_set1_epi8(static_cast<char>(value));
        const auto equal = [&](const uint8_t* at) {
            const __m256i bytes = _mm256_cmpeq_epi8(load_int(at), wanted);
            return static_cast<uint32_t>(_mm256_movemask_epi8(bytes));
        };
        return equal(p) | uint64_t{equal(p + 32)} << 32;
    }
    static int32_t sum_bytes(const int8_t* p) { return sum_16_bytes<Avx2Lanes>(p); }

    static void store_bfloats(uint32_t* p, F a) {
        const __m256i both = _mm256_packus_epi32(bfloats(a.lo), bfloats(a.hi));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(both, 0xd8));
    }
    static constexpr bool kAddsPairs = false;
    struct Halves {
        F odd, even;
    };
    static Halves load_pairs(const uint32_t* p) {
        const auto lo = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
        const auto hi = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8));
        return {{odd(lo), odd(hi)}, {even(lo), even(hi)}};
    }

    struct I {
        __m256i lo, hi;
    };
    static I all_int(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
    static I sub_int(I a, I b) {
        return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)};
    }
    static F to_float(I a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }

    /// Unsigned codes: at most 8 x 2 x 15 x 127 = 30,480 gathers in 16 bits, so a whole block is
    /// summed there before it is widened once.
    template <int N>
    [[gnu::always_inline]] static void dot_u4(const uint8_t* codes, const int8_t* x, I (&sums)[N]) {
        const __m256i low = _mm256_set1_epi8(15);
        __m256i lo[N], hi[N];
        const auto add = [](__m256i sum, __m256i w, __m256i y) {
            if constexpr (kVnni)
                return _mm256_dpbusd_avx_epi32(sum, w, y);
            else
                return _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, y));
        };
        for (int t = 0; t < N; ++t) lo[t] = hi[t] = _mm256_setzero_si256();
#pragma GCC unroll 1  // unrolled, it would need more registers than there are
        for (int g = 0; g < 4; ++g) {
            const __m256i a = load_int(codes + 64 * g);
            const __m256i b = load_int(codes + 64 * g + 32);
            const __m256i a0 = _mm256_and_si256(a, low);
            const __m256i b0 = _mm256_and_si256(b, low);
            const __m256i a1 = _mm256_and_si256(_mm256_srli_epi16(a, 4), low);
            const __m256i b1 = _mm256_and_si256(_mm256_srli_epi16(b, 4), low);
            for (int t = 0; t < N; ++t) {
                const __m256i x0 = four(x + t * 32 + 4 * g);
                lo[t] = add(lo[t], a0, x0);
                hi[t] = add(hi[t], b0, x0);
                const __m256i x1 = four(x + t * 32 + 4 * g + 16);
                lo[t] = add(lo[t], a1, x1);
                hi[t] = add(hi[t], b1, x1);
            }
        }
        const __m256i ones = _mm256_set1_epi16(1);
        for (int t = 0; t < N; ++t) {
            if constexpr (kVnni)
                sums[t] = {lo[t], hi[t]};
            else
                sums[t] = {_mm256_madd_epi16(lo[t], ones), _mm256_madd_epi16(hi[t], ones)};
        }
    }

    /// Signed codes: |code| times the activation with the code's sign; a pair is at most
    /// 2 x 128 x 127 = 32,512. Where one instruction adds up, the weights must be the unsigned
    /// side: each code comes as code + 128. Groups [begin, end) of the block's eight.
    static constexpr int kSignedBias = kVnni ? 128 : 0;
    template <int N>
    [[gnu::always_inline]] static void dot_s8(const uint8_t* codes, const int8_t* x, int begin,
                                              int end, I (&sums)[N]) {
        const __m256i ones = _mm256_set1_epi16(1);
        for (int t = 0; t < N; ++t) sums[t] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
#pragma GCC unroll 1
        for (int g = begin; g < end; ++g) {
            const __m256i a = load_int(codes + 64 * g);
            const __m256i b = load_int(codes + 64 * g + 32);
            if constexpr (kVnni) {
                const __m256i flip = _mm256_set1_epi8(static_cast<char>(0x80));
                const __m256i a_up = _mm256_xor_si256(a, flip);
                const __m256i b_up = _mm256_xor_si256(b, flip);
                for (int t = 0; t < N; ++t) {
                    const __m256i y = four(x + t * 32 + 4 * g);
                    sums[t].lo = _mm256_dpbusd_avx_epi32(sums[t].lo, a_up, y);
                    sums[t].hi = _mm256_dpbusd_avx_epi32(sums[t].hi, b_up, y);
                }
                continue;
            }
            const __m256i a_abs = _mm256_abs_epi8(a);
            const __m256i b_abs = _mm256_abs_epi8(b);
            for (int t = 0; t < N; ++t) {
                const __m256i y = four(x + t * 32 + 4 * g);
                const __m256i pa = _mm256_maddubs_epi16(a_abs, _mm256_sign_epi8(y, a));
                const __m256i pb = _mm256_maddubs_epi16(b_abs, _mm256_sign_epi8(y, b));
                sums[t].lo = _mm256_add_epi32(sums[t].lo, _mm256_madd_epi16(pa, ones));
                sums[t].hi = _mm256_add_epi32(sums[t].hi, _mm256_madd_epi16(pb, ones));
            }
        }
    }

    static F nibbles(const uint8_t* words, int bit) {
        const __m128i count = _mm_cvtsi32_si128(bit);
        const __m256i low = _mm256_set1_epi32(15);
        const auto field = [&](const uint8_t* p) {
            return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srl_epi32(load_int(p), count), low));
        };
        return {field(words), field(words + 32)};
    }
    static F signed_bytes(const uint8_t* words, int bit) {
        const __m128i count = _mm_cvtsi32_si128(24 - bit);
        const auto field = [&](const uint8_t* p) {
            return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_sll_epi32(load_int(p), count), 24));
        };
        return {field(words), field(words + 32)};
    }

 private:
    static __m256i ints(__m256 a) { return _mm256_castps_si256(a); }
    static __m256 floats(__m256i a) { return _mm256_castsi256_ps(a); }
    static __m256 odd(__m256i pairs) {
        return floats(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)));
    }
    static __m256 even(__m256i pairs) { return floats(_mm256_slli_epi32(pairs, 16)); }
    /// Rounded to BF16, each in the lower half of a word.
    static __m256i bfloats(__m256 a) {
        const __m256i bits = ints(a), high = _mm256_srli_epi32(bits, 16);
        const __m256i is_odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
        const __m256i nearest = _mm256_srli_epi32(
            _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), is_odd), 16);
        const __m256i nan = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
        const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a);
        const __m256 small = _mm256_cmp_ps(size, _mm256_set1_ps(kLeastBfloat), _CMP_LT_OQ);
        const __m256 result =
            _mm256_blendv_ps(floats(nearest), floats(nan), _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
        return ints(_mm256_andnot_ps(small, result));
    }
    static __m256i load_int(const uint8_t* p) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }
    static __m256i four(const int8_t* p) {
        return _mm256_castps_si256(_mm256_broadcast_ss(reinterpret_cast<const float*>(p)));
    }
    static __m256 power8(__m256 n) {
        const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
    }
};

using Avx2 = Avx2Lanes<false>;
using AvxVnni = Avx2Lanes<true>;

}  // namespace dunlin
