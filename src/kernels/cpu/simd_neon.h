#pragma once

#include <cstddef>
#include <cstdint>

#include <arm_neon.h>

#include "kernels/bfloat_rows.h"

namespace dunlin {

/// 16 floats in four registers. See simd_portable.h for what each operation means. With kDot,
/// products of bytes are added up in 32 bits by one instruction (dotprod, optional from ARMv8.2
/// on).
template <bool kDot>
struct NeonLanes {
    struct F {
        float32x4_t q[4];
    };
    static constexpr int kTokens = kDot ? 4 : 2;
    static constexpr int kStrips = 1;
    static constexpr bool kLineAtOnce = false;

    static F zero() { return all(0.0F); }
    static F all(float x) {
        return each([&](int) { return vdupq_n_f32(x); });
    }
    static F load(const float* p) {
        return each([&](int i) { return vld1q_f32(p + 4 * i); });
    }
    static void store(float* p, F a) {
        for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.q[i]);
    }
    static F load_half(const uint16_t* p) {
        return each([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))); });
    }
    static F load_bytes(const int8_t* p) {
        const int8x16_t bytes = vld1q_s8(p);
        const int16x8_t words[2] = {vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes)};
        return each([&](int i) {
            const int16x8_t w = words[i / 2];
            return vcvtq_f32_s32(i % 2 == 0 ? vmovl_s16(vget_low_s16(w)) : vmovl_high_s16(w));
        });
    }
    static void store_half(uint16_t* p, F a) {
        for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.q[i])));
    }
    static F add(F a, F b) {
        return each([&](int i) { return vaddq_f32(a.q[i], b.q[i]); });
    }
    static F mul(F a, F b) {
        return each([&](int i) { return vmulq_f32(a.q[i], b.q[i]); });
    }
    static F div(F a, F b) {
        return each([&](int i) { return vdivq_f32(a.q[i], b.q[i]); });
    }
    /// Not the instructions of this name: those return NaN, or the number beside it.
    static F max(F a, F b) {
        return each([&](int i) { return vbslq_f32(vcgtq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]); });
    }
    static F min(F a, F b) {
        return each([&](int i) { return vbslq_f32(vcltq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]); });
    }
    static F max_size(F a, F b) {
        return each([&](int i) {
            return vreinterpretq_f32_u32(
                vmaxq_u32(vreinterpretq_u32_f32(a.q[i]), vreinterpretq_u32_f32(b.q[i])));
        });
    }
    static F min_size(F a, F b) {
        return each([&](int i) {
            return vreinterpretq_f32_u32(
                vminq_u32(vreinterpretq_u32_f32(a.q[i]), vreinterpretq_u32_f32(b.q[i])));
        });
    }
    template <int Apart>
    static F partner(F a) {
        return each([&](int i) {
            if constexpr (Apart >= 4)
                return a.q[i ^ (Apart / 4)];
            else if constexpr (Apart == 2)
                return vextq_f32(a.q[i], a.q[i], 2);
            else
                return vrev64q_f32(a.q[i]);
        });
    }
    static uint32_t equal_lanes(F a, F b) {
        const auto eight = [&](int i) {
            return vmovn_u16(vcombine_u16(vmovn_u32(vceqq_f32(a.q[i], b.q[i])),
                                          vmovn_u32(vceqq_f32(a.q[i + 1], b.q[i + 1]))));
        };
        const uint8x8_t bits = vcreate_u8(kBitOfByte);
        return uint32_t{vaddv_u8(vand_u8(eight(0), bits))} |
               uint32_t{vaddv_u8(vand_u8(eight(2), bits))} << 8;
    }
    static F unless_equal(F x, F a, F b) {
        return each([&](int i) {
            return vreinterpretq_f32_u32(
                vbicq_u32(vreinterpretq_u32_f32(x.q[i]), vceqq_f32(a.q[i], b.q[i])));
        });
    }
    static float first_lane(F a) { return vgetq_lane_f32(a.q[0], 0); }
    static F fma(F a, F b, F c) {
        return each([&](int i) { return vfmaq_f32(c.q[i], a.q[i], b.q[i]); });
    }
    static F abs(F a) {
        return each([&](int i) { return vabsq_f32(a.q[i]); });
    }
    static F round(F a) {
        return each([&](int i) { return vrndnq_f32(a.q[i]); });
    }
    static F power_of_two(F n) {
        return each([&](int i) {
            const int32x4_t biased = vaddq_s32(vcvtq_s32_f32(n.q[i]), vdupq_n_s32(127));
            return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));
        });
    }
    static F first(F a, F b, int count) {
        constexpr int32_t kLanes[4] = {0, 1, 2, 3};
        const int32x4_t lanes = vld1q_s32(kLanes);
        return each([&](int i) {
            return vbslq_f32(vcgtq_s32(vdupq_n_s32(count - 4 * i), lanes), a.q[i], b.q[i]);
        });
    }
    static void store_bytes(int8_t* p, F a) {
        const auto words = [&](int i) {
            return vcombine_s16(vmovn_s32(vcvtq_s32_f32(a.q[i])),
                                vmovn_s32(vcvtq_s32_f32(a.q[i + 1])));
        };
        vst1q_s8(p, vcombine_s8(vmovn_s16(words(0)), vmovn_s16(words(2))));
    }

    static uint64_t equal_bytes(const uint8_t* p, uint8_t value) {
        const uint8x16_t bits = vcombine_u8(vcreate_u8(kBitOfByte), vcreate_u8(kBitOfByte));
        const auto equal = [&](int i) {
            return vandq_u8(vceqq_u8(vld1q_u8(p + 16 * i), vdupq_n_u8(value)), bits);
        };
        const uint8x16_t fours =
            vpaddq_u8(vpaddq_u8(equal(0), equal(1)), vpaddq_u8(equal(2), equal(3)));
        return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(fours, fours)), 0);
    }
    static int32_t sum_bytes(const int8_t* p) { return vaddlvq_s8(vld1q_s8(p)); }

    static void store_bfloats(uint32_t* p, F a) {
        for (int i = 0; i < 4; ++i) {
            const uint32x4_t bits = vreinterpretq_u32_f32(a.q[i]);
            const uint32x4_t is_odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
            const uint32x4_t nearest = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), is_odd);
            const uint32x4_t nan = vorrq_u32(bits, vdupq_n_u32(0x400000));
            const uint32x4_t result = vbslq_u32(vceqq_f32(a.q[i], a.q[i]), nearest, nan);
            const uint32x4_t small = vcltq_f32(vabsq_f32(a.q[i]), vdupq_n_f32(kLeastBfloat));
            vst1_u32(p + 2 * i, vreinterpret_u32_u16(vshrn_n_u32(vbicq_u32(result, small), 16)));
        }
    }
    static constexpr bool kAddsPairs = false;
    struct Halves {
        F odd, even;
    };
    static Halves load_pairs(const uint32_t* p) {
        const uint32x4_t upper = vdupq_n_u32(0xffff0000);
        return {each([&](int i) {
                    return vreinterpretq_f32_u32(vandq_u32(vld1q_u32(p + 4 * i), upper));
                }),
                each([&](int i) {
                    return vreinterpretq_f32_u32(vshlq_n_u32(vld1q_u32(p + 4 * i), 16));
                })};
    }

    struct I {
        int32x4_t q[4];
    };
    static I all_int(int32_t x) {
        return each_int([&](int) { return vdupq_n_s32(x); });
    }
    static I sub_int(I a, I b) {
        return each_int([&](int i) { return vsubq_s32(a.q[i], b.q[i]); });
    }
    static F to_float(I a) {
        return each([&](int i) { return vcvtq_f32_s32(a.q[i]); });
    }

    /// Codes of four bits are signed bytes too. Two groups at a time: a register of eight
    /// activations has those of both.
    template <int N>
    [[gnu::always_inline]] static void dot_u4(const uint8_t* codes, const int8_t* x, I (&sums)[N]) {
        Sums<N> acc;
#pragma GCC unroll 1  // unrolled, it would need more registers than there are
        for (int g = 0; g < 4; g += 2) {
            int8x8_t low[N], high[N];
            for (int t = 0; t < N; ++t) {
                low[t] = vld1_s8(x + t * 32 + 4 * g);
                high[t] = vld1_s8(x + t * 32 + 4 * g + 16);
            }
            for (int i = 0; i < 4; ++i) {
                const uint8x16_t a = vld1q_u8(codes + 64 * g + 16 * i);
                const uint8x16_t b = vld1q_u8(codes + 64 * g + 64 + 16 * i);
                acc.add(i, vreinterpretq_s8_u8(vandq_u8(a, vdupq_n_u8(15))),
                        vreinterpretq_s8_u8(vandq_u8(b, vdupq_n_u8(15))), low);
                acc.add(i, vreinterpretq_s8_u8(vshrq_n_u8(a, 4)),
                        vreinterpretq_s8_u8(vshrq_n_u8(b, 4)), high);
            }
        }
        acc.get(sums);
    }

    static constexpr int kSignedBias = 0;
    template <int N>
    [[gnu::always_inline]] static void dot_s8(const uint8_t* codes, const int8_t* x, int begin,
                                              int end, I (&sums)[N]) {
        Sums<N> acc;
#pragma GCC unroll 1
        for (int g = begin; g < end; g += 2) {
            int8x8_t both[N];
            for (int t = 0; t < N; ++t) both[t] = vld1_s8(x + t * 32 + 4 * g);
            for (int i = 0; i < 4; ++i) {
                const auto* at = reinterpret_cast<const int8_t*>(codes) + 64 * g + 16 * i;
                acc.add(i, vld1q_s8(at), vld1q_s8(at + 64), both);
            }
        }
        acc.get(sums);
    }

    static F nibbles(const uint8_t* words, int bit) {
        const int32x4_t count = vdupq_n_s32(-bit);
        return each([&](int i) {
            const uint32x4_t w = vshlq_u32(load_words(words + 16 * i), count);
            return vcvtq_f32_u32(vandq_u32(w, vdupq_n_u32(15)));
        });
    }
    static F signed_bytes(const uint8_t* words, int bit) {
        const int32x4_t count = vdupq_n_s32(24 - bit);
        return each([&](int i) {
            const uint32x4_t w = vshlq_u32(load_words(words + 16 * i), count);
            return vcvtq_f32_s32(vshrq_n_s32(vreinterpretq_s32_u32(w), 24));
        });
    }

 private:
    static constexpr uint64_t kBitOfByte = 0x8040201008040201;  // bit i in byte i

    /// Sums of products for 16 rows, four a register, of N activations. Without the instruction for
    /// it they are kept by pairs of columns, four a register too; two products of at most 128 x 127
    /// fit 16 bits.
    template <int N>
    struct Sums {
        int32x4_t of[N][kDot ? 4 : 8] = {};

        /// Adds rows 4 * i ..: columns of `a` times the first half of x, of `b` times the second.
        [[gnu::always_inline]] void add(int i, int8x16_t a, int8x16_t b, const int8x8_t (&x)[N]) {
            for (int t = 0; t < N; ++t) {
                if constexpr (kDot) {
                    of[t][i] = vdotq_lane_s32(of[t][i], a, x[t], 0);
                    of[t][i] = vdotq_lane_s32(of[t][i], b, x[t], 1);
                } else {
                    const int32x2_t words = vreinterpret_s32_s8(x[t]);
                    const int8x16_t xa = vreinterpretq_s8_s32(vdupq_lane_s32(words, 0));
                    const int8x16_t xb = vreinterpretq_s8_s32(vdupq_lane_s32(words, 1));
                    const int16x8_t lo = vmull_s8(vget_low_s8(a), vget_low_s8(xa));
                    const int16x8_t hi = vmull_high_s8(a, xa);
                    int32x4_t* at = &of[t][2 * i];
                    at[0] = vpadalq_s16(at[0], vmlal_s8(lo, vget_low_s8(b), vget_low_s8(xb)));
                    at[1] = vpadalq_s16(at[1], vmlal_high_s8(hi, b, xb));
                }
            }
        }
        [[gnu::always_inline]] void get(I (&sums)[N]) const {
            for (int t = 0; t < N; ++t)
                sums[t] = each_int([&](int i) {
                    if constexpr (kDot)
                        return of[t][i];
                    else
                        return vpaddq_s32(of[t][2 * i], of[t][2 * i + 1]);
                });
        }
    };

    static uint32x4_t load_words(const uint8_t* p) { return vreinterpretq_u32_u8(vld1q_u8(p)); }
    template <class Quad>
    static F each(Quad&& quad) {
        return {quad(0), quad(1), quad(2), quad(3)};
    }
    template <class Quad>
    static I each_int(Quad&& quad) {
        return {quad(0), quad(1), quad(2), quad(3)};
    }
};

using Neon = NeonLanes<false>;
using NeonDot = NeonLanes<true>;

}  // namespace dunlin
