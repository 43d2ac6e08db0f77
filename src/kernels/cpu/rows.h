// What is done to one row of activations between multiplications.

#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/cpu/lanes.h"
#include "kernels/kernels.h"

namespace dunlin {

template <class V>
void rms_norm(const float* x, const float* weight, size_t n, float eps, float* out) {
    typename V::F squares = V::zero();
    for (size_t i = 0; i < n; i += 16) {
        const auto part = load_up_to<V>(x + i, n - i);
        squares = V::fma(part, part, squares);
    }
    const float mean = sum_lanes<V>(squares) / static_cast<float>(n);
    const auto scale = V::all(1.0F / std::sqrt(mean + eps));
    for (size_t i = 0; i < n; i += 16)
        store_up_to<V>(
            out + i, n - i,
            V::mul(V::mul(load_up_to<V>(x + i, n - i), scale), load_up_to<V>(weight + i, n - i)));
}

struct TopTwo {
    float first, second;
};

template <class V, int Apart>
void join_top_two(typename V::F& first, typename V::F& second) {
    const auto other = V::template partner<Apart>(first);
    const auto loser = V::min_size(first, other);
    first = V::max_size(first, other);
    second = V::max_size(loser, V::max_size(second, V::template partner<Apart>(second)));
}

/// The two largest of 32 sizes; NaN where any is.
template <class V>
TopTwo top_two(typename V::F a, typename V::F b) {
    auto first = V::max_size(a, b);
    auto second = V::min_size(a, b);
    join_top_two<V, 8>(first, second);
    join_top_two<V, 4>(first, second);
    join_top_two<V, 2>(first, second);
    join_top_two<V, 1>(first, second);
    return {V::first_lane(first), V::first_lane(second)};
}

/// Where the largest number of a block is smaller, all of them become zero: 127 / largest would be
/// infinite.
inline constexpr float kLeastLargest = 4.0e-37F;

/// Without branches: whether a block has an outlier is as good as a coin to a processor.
template <class V>
void quantize_block(const float* x, size_t row, size_t b, const QuantizedRows& out) {
    typename V::F parts[2] = {V::load(x), V::load(x + 16)};
    const typename V::F sizes[2] = {V::abs(parts[0]), V::abs(parts[1])};
    const TopTwo top = top_two<V>(sizes[0], sizes[1]);
    const bool has_outlier =
        (top.second > 0.0F) & (top.first > kOutlierRatio * top.second) & (top.first < INFINITY);
    // The only number of its size; nothing equals NaN.
    const auto outlier = V::all(has_outlier ? top.first : NAN);
    const uint32_t place = V::equal_lanes(sizes[0], outlier) | V::equal_lanes(sizes[1], outlier)
                                                                   << 16;
    const auto index = static_cast<uint32_t>(std::countr_zero(place)) & 31U;
    const auto stored = static_cast<uint8_t>(has_outlier ? index + 1 : 0);
    const size_t by_block = b * out.row_stride + row;
    out.outliers[by_block] = x[index];
    out.places[row * out.place_stride() + b] = stored;
    out.places_by_block[by_block] = stored;

    const float largest = has_outlier ? top.second : top.first;
    // Also false for NaN and infinity: such a row's scale says so, its codes stay in range.
    const bool usable = largest >= kLeastLargest && largest < INFINITY;
    const auto inverse = V::all(usable ? 127.0F / largest : 0.0F);
    const float scale = largest / 127.0F;
    int8_t* codes = out.codes + out.code_at(row, b);
    int32_t* sums = out.sums + 2 * by_block;
    for (size_t half = 0; half < 2; ++half) {
        const auto part = V::mul(V::unless_equal(parts[half], sizes[half], outlier), inverse);
        V::store_bytes(codes + 16 * half, usable ? V::round(part) : V::zero());
        sums[half] = V::sum_bytes(codes + 16 * half);
    }
    out.scales[by_block] = scale;
    out.offsets[by_block] = scale * static_cast<float>(sums[0] + sums[1]);
}

template <class V>
void quantize(const float* x, size_t row, size_t block, size_t count, const QuantizedRows& out) {
    for (size_t b = block; b < block + count; ++b, x += kBlock) quantize_block<V>(x, row, b, out);
}

template <class V>
void round_to_bfloats(const float* x, size_t row, size_t block, size_t count,
                      const BfloatRows& out) {
    uint32_t* to = out.pairs + out.at(row, block);
    for (size_t b = block; b < block + count; ++b, x += kBlock) {
        const size_t left = out.columns - b * kBlock;
        V::store_bfloats(to, load_up_to<V>(x, left));
        if (left > 16) V::store_bfloats(to + 8, load_up_to<V>(x + 16, left - 16));
        to += kTileRows * BfloatRows::kBlockWords;
    }
}

template <class V>
void silu_mul(const float* gate, const float* up, size_t n, float* out) {
    const auto one = V::all(1.0F);
    for (size_t i = 0; i < n; i += 16) {
        const auto g = load_up_to<V>(gate + i, n - i);
        const auto decay = exp_lanes<V>(V::mul(g, V::all(-1.0F)));
        const auto silu = V::div(g, V::add(one, decay));
        store_up_to<V>(out + i, n - i, V::mul(silu, load_up_to<V>(up + i, n - i)));
    }
}

}  // namespace dunlin
