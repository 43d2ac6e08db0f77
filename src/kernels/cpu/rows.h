// What is done to one row of activations between multiplications.

#pragma once

#include <cmath>

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

template <class V>
void quantize_row(const float* x, size_t row, const QuantizedRows& out) {
    const size_t blocks = out.blocks();
    int8_t* codes = out.codes + row * out.columns;
    for (size_t b = 0; b < blocks; ++b, x += kBlock, codes += kBlock) {
        const auto lo = V::load(x);
        const auto hi = V::load(x + 16);
        const float largest = max_lanes<V>(V::max(V::abs(lo), V::abs(hi)));
        // Also false for NaN and infinity: such a row's scale says so, its codes stay in range.
        const bool usable = largest > 0.0F && largest <= 3.0e38F;
        const auto inverse = V::all(usable ? 127.0F / largest : 0.0F);
        const auto zero = V::zero();
        const float scale = largest / 127.0F;
        V::store_bytes(codes, usable ? V::round(V::mul(lo, inverse)) : zero);
        V::store_bytes(codes + 16, usable ? V::round(V::mul(hi, inverse)) : zero);
        int32_t sums[2] = {0, 0};
        for (size_t i = 0; i < kBlock; ++i) sums[i / 16] += codes[i];
        const size_t at = row * blocks + b;
        out.sums[2 * at] = sums[0];
        out.sums[2 * at + 1] = sums[1];
        out.scales[at] = scale;
        out.offsets[at] = scale * static_cast<float>(sums[0] + sums[1]);
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
