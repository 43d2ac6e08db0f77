// Sums, maxima, exponentials and remainders over 16 lanes, in one fixed order for every machine.

#pragma once

#include <cstddef>

namespace dunlin {

/// The first n of 16 floats, zeros behind them. Remainders are lanes of the same code, never a
/// different function: where a row ends must not change its bits.
template <class V>
typename V::F load_up_to(const float* p, size_t n) {
    if (n >= 16) return V::load(p);
    float padded[16] = {};
    for (size_t i = 0; i < n; ++i) padded[i] = p[i];
    return V::load(padded);
}

template <class V>
void store_up_to(float* p, size_t n, typename V::F a) {
    if (n >= 16) return V::store(p, a);
    float padded[16];
    V::store(padded, a);
    for (size_t i = 0; i < n; ++i) p[i] = padded[i];
}

/// Calls f(a, b) for lanes 8, 4, 2 and 1 apart, and returns what is in the first lane at the end:
/// lane i + 8 joined to lane i, and so on.
template <class V, class Join>
float join_lanes(typename V::F a, Join&& join) {
    a = join(a, V::template partner<8>(a));
    a = join(a, V::template partner<4>(a));
    a = join(a, V::template partner<2>(a));
    return V::first_lane(join(a, V::template partner<1>(a)));
}

template <class V>
float sum_lanes(typename V::F a) {
    return join_lanes<V>(a, [](const auto& x, const auto& y) { return V::add(x, y); });
}

template <class V>
float max_lanes(typename V::F a) {
    return join_lanes<V>(a, [](const auto& x, const auto& y) { return V::max(x, y); });
}

/// e^x within 2 ulp for -87 <= x <= 88; beyond, the value at the border. A polynomial of degree 6
/// on [-ln2/2, ln2/2] (Taylor to x^6 leaves 1.2e-7 relative), scaled by a power of two.
template <class V>
typename V::F exp_lanes(typename V::F x) {
    const auto clamped = V::mul(
        V::max(V::mul(V::max(x, V::all(-87.0F)), V::all(-1.0F)), V::all(-88.0F)), V::all(-1.0F));
    const auto n = V::round(V::mul(clamped, V::all(1.44269504F)));
    auto r = V::fma(n, V::all(-0.693359375F), clamped);
    r = V::fma(n, V::all(2.12194440e-4F), r);
    auto p = V::all(1.0F / 720.0F);
    p = V::fma(p, r, V::all(1.0F / 120.0F));
    p = V::fma(p, r, V::all(1.0F / 24.0F));
    p = V::fma(p, r, V::all(1.0F / 6.0F));
    p = V::fma(p, r, V::all(0.5F));
    p = V::fma(p, r, V::all(1.0F));
    p = V::fma(p, r, V::all(1.0F));
    return V::mul(p, V::power_of_two(n));
}

}  // namespace dunlin
