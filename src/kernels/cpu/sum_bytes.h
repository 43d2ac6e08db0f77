#pragma once

#include <cstdint>

#include <immintrin.h>

namespace dunlin {

/// The sum of 16 signed bytes, for lanes V on x86.
template <class V>
int32_t sum_16_bytes(const int8_t* p) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i pairs = _mm_maddubs_epi16(_mm_set1_epi8(1), codes);
    __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi16(1));
    fours = _mm_add_epi32(fours, _mm_shuffle_epi32(fours, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(fours, _mm_shuffle_epi32(fours, 0xb1)));
}

}  // namespace dunlin
