// Attention of a group of queries to one head's keys and values.
//
// The keys are cut into spans of 256 at fixed positions. A span is finished on its own: scores of
// 16 keys at a time (lanes are keys, the head's elements in order), their maximum m, the weights
// exp(score - m) and their sum l, the weighted values o (lanes are elements, keys in order). Spans
// are merged in order: with M = max(m1, m2), o = o1 e^(m1-M) + o2 e^(m2-M), and l alike. So the
// bits of a query's result depend on its own length and the stored keys alone, however many
// queries, threads or chunks there are. (Online softmax: Milakov and Gimelshein, arXiv 1805.02867.)
//
// Queries of a group share each conversion of keys and values from half precision.

#pragma once

#include <cmath>

#include "kernels/cpu/lanes.h"
#include "kernels/kernels.h"

namespace dunlin {

/// Queries handled together, and the largest head (a limit that the model loader checks).
inline constexpr int kGroup = 4;
inline constexpr size_t kHeadDimMax = 512;

template <int N>
struct AttentionState {
    float scores[N][kSpanKeys];
    float part[N][kHeadDimMax];  // one span's weighted values
    float sum[N][kHeadDimMax];   // all spans so far
    float m[N], l[N];            // all spans so far
};

/// Scores of keys [first, last) of a span, 16 at a time; lanes behind a query's end are not used.
template <class V, int N>
void span_scores(const KvHead& kv, const float* const* rows, float scale, uint32_t span_begin,
                 uint32_t span_end, AttentionState<N>& state) {
    for (uint32_t key = span_begin; key < span_end; key += 16) {
        const uint16_t* keys = kv.keys(key / 16);
        typename V::F acc[N];
        for (int q = 0; q < N; ++q) acc[q] = V::zero();
        for (uint32_t d = 0; d < kv.head_dim; ++d) {
            const auto k = V::load_half(keys + d * 16);
            for (int q = 0; q < N; ++q) acc[q] = V::fma(k, V::all(rows[q][d]), acc[q]);
        }
        for (int q = 0; q < N; ++q)
            V::store(state.scores[q] + (key - span_begin), V::mul(acc[q], V::all(scale)));
    }
}

/// Turns the first `count` scores into weights; returns their maximum and sum.
template <class V>
void span_weights(float* scores, uint32_t count, float& m, float& l) {
    const auto lowest = V::all(-INFINITY);
    auto largest = lowest;
    for (uint32_t i = 0; i < count; i += 16)
        largest =
            V::max(V::first(V::load(scores + i), lowest, static_cast<int>(count - i)), largest);
    m = max_lanes<V>(largest);
    auto sum = V::zero();
    for (uint32_t i = 0; i < count; i += 16) {
        const auto shifted = V::add(V::load(scores + i), V::all(-m));
        const auto weight = V::first(exp_lanes<V>(shifted), V::zero(), static_cast<int>(count - i));
        V::store(scores + i, weight);
        sum = V::add(sum, weight);
    }
    l = sum_lanes<V>(sum);
}

/// Adds weight x value for keys [begin, end) of the span, in order, to N queries from `q0` on.
template <class V, int N, int M>
void span_values(const KvHead& kv, uint32_t span_begin, uint32_t begin, uint32_t end, int q0,
                 AttentionState<M>& state) {
    const size_t padded = kv.padded_dim();
    for (size_t d = 0; d < padded; d += 16) {
        typename V::F acc[N];
        for (int q = 0; q < N; ++q) acc[q] = V::load(state.part[q0 + q] + d);
        for (uint32_t key = begin; key < end; ++key) {
            const auto v = V::load_half(kv.values(key / 16) + (key % 16) * padded + d);
            for (int q = 0; q < N; ++q)
                acc[q] = V::fma(v, V::all(state.scores[q0 + q][key - span_begin]), acc[q]);
        }
        for (int q = 0; q < N; ++q) V::store(state.part[q0 + q] + d, acc[q]);
    }
}

template <class V, int N>
void merge_span(const KvHead& kv, int q, bool first, float m, float l, AttentionState<N>& state) {
    const size_t padded = kv.padded_dim();
    float* sum = state.sum[q];
    const float* part = state.part[q];
    if (first) {
        for (size_t d = 0; d < padded; d += 16) V::store(sum + d, V::load(part + d));
        state.m[q] = m;
        state.l[q] = l;
        return;
    }
    const float top = state.m[q] > m ? state.m[q] : m;
    float both[16] = {state.m[q] - top, m - top};
    V::store(both, exp_lanes<V>(V::load(both)));
    const auto a = V::all(both[0]);
    const auto b = V::all(both[1]);
    for (size_t d = 0; d < padded; d += 16)
        V::store(sum + d, V::fma(V::load(part + d), b, V::mul(V::load(sum + d), a)));
    state.l[q] = std::fma(l, both[1], state.l[q] * both[0]);
    state.m[q] = top;
}

template <class V, int N>
void attend_group(const KvHead& kv, const float* const* rows, float* const* out,
                  const uint32_t* lengths, float scale) {
    AttentionState<N> state;
    const size_t padded = kv.padded_dim();
    const uint32_t longest = lengths[N - 1];
    for (uint32_t begin = 0; begin < longest; begin += kSpanKeys) {
        const uint32_t end = begin + kSpanKeys < longest ? begin + kSpanKeys : longest;
        span_scores<V, N>(kv, rows, scale, begin, end, state);
        float m[N], l[N];
        for (int q = 0; q < N; ++q) {
            const uint32_t own_end = lengths[q] < end ? lengths[q] : end;
            if (own_end > begin) span_weights<V>(state.scores[q], own_end - begin, m[q], l[q]);
            for (size_t d = 0; d < padded; d += 16) V::store(state.part[q] + d, V::zero());
        }
        // Keys that all queries see are read once for all; the last few, of a prompt, one by one.
        const uint32_t shared = lengths[0] < begin ? begin : lengths[0] < end ? lengths[0] : end;
        span_values<V, N>(kv, begin, begin, shared, 0, state);
        for (int q = 0; q < N; ++q) {
            const uint32_t own_end = lengths[q] < end ? lengths[q] : end;
            if (own_end > shared) span_values<V, 1>(kv, begin, shared, own_end, q, state);
            if (own_end > begin) merge_span<V>(kv, q, begin == 0, m[q], l[q], state);
        }
    }
    for (int q = 0; q < N; ++q) {
        const auto l = V::all(state.l[q]);
        for (size_t d = 0; d < kv.head_dim; d += 16)
            store_up_to<V>(out[q] + d, kv.head_dim - d, V::div(V::load(state.sum[q] + d), l));
    }
}

template <class V>
void attend(const KvHead& kv, const Queries& queries) {
    size_t at = 0;
    for (; at + kGroup <= queries.count; at += kGroup)
        attend_group<V, kGroup>(kv, queries.rows + at, queries.out + at, queries.lengths + at,
                                queries.scale);
    for (; at < queries.count; ++at)
        attend_group<V, 1>(kv, queries.rows + at, queries.out + at, queries.lengths + at,
                           queries.scale);
}

template <class V>
void store_kv(const float* key, const float* value, uint32_t head_dim, uint32_t slot,
              uint16_t* block) {
    const size_t padded = (size_t{head_dim} + 15) / 16 * 16;
    uint16_t* values = block + size_t{16} * head_dim + slot * padded;
    for (size_t d = 0; d < head_dim; d += 16) {
        uint16_t halves[16];
        V::store_half(halves, load_up_to<V>(key + d, head_dim - d));
        for (size_t i = d; i < head_dim && i < d + 16; ++i) block[i * 16 + slot] = halves[i - d];
        V::store_half(values + d, load_up_to<V>(value + d, head_dim - d));
    }
}

}  // namespace dunlin
