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
#include "kernels/cpu/runs.h"
#include "kernels/kernels.h"

namespace dunlin {

/// Queries handled together, and the largest head (a limit that the model loader checks).
inline constexpr int kGroup = 4;
inline constexpr size_t kHeadDimMax = 512;

/// Rows of weighted values stand one behind the other, each KvHead::padded_dim() long.
template <int N>
struct AttentionState {
    float scores[N][kSpanKeys];
    float part[N * kHeadDimMax];  // one span's weighted values
    float sum[N * kHeadDimMax];   // all spans so far
    float m[N], l[N];             // all spans so far
};

/// Scores of K strips of 16 keys, from a multiple of 16 on.
template <class V, int N, int K>
void score_strips(const KvHead& kv, const float* const* rows, float scale, uint32_t key,
                  uint32_t span_begin, AttentionState<N>& state) {
    const uint16_t* keys[K];
    typename V::F acc[N][K];
    for (int j = 0; j < K; ++j) keys[j] = kv.keys(key / 16 + static_cast<uint32_t>(j));
    for (int q = 0; q < N; ++q)
        for (int j = 0; j < K; ++j) acc[q][j] = V::zero();
    for (uint32_t d = 0; d < kv.head_dim; ++d) {
        typename V::F k[K];
        for (int j = 0; j < K; ++j) k[j] = V::load_half(keys[j] + d * 16);
        for (int q = 0; q < N; ++q) {
            const auto x = V::all(rows[q][d]);
            for (int j = 0; j < K; ++j) acc[q][j] = V::fma(k[j], x, acc[q][j]);
        }
    }
    for (int q = 0; q < N; ++q)
        for (int j = 0; j < K; ++j)
            V::store(state.scores[q] + (key - span_begin) + 16 * j,
                     V::mul(acc[q][j], V::all(scale)));
}

/// Scores of keys [first, last) of a span; lanes behind a query's end are not used.
template <class V, int N>
void span_scores(const KvHead& kv, const float* const* rows, float scale, uint32_t span_begin,
                 uint32_t span_end, AttentionState<N>& state) {
    in_runs<V::kStrips>(span_begin / 16, (span_end + 15) / 16, [&]<int K>(size_t strip) {
        score_strips<V, N, K>(kv, rows, scale, static_cast<uint32_t>(16 * strip), span_begin,
                              state);
    });
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

/// Adds weight x value for keys [begin, end) of the span, in order, to N queries from `q0` on, in K
/// strips of 16 elements from `d` on.
template <class V, int N, int K, int M>
void value_strips(const KvHead& kv, uint32_t span_begin, uint32_t begin, uint32_t end, int q0,
                  size_t d, AttentionState<M>& state) {
    const size_t padded = kv.padded_dim();
    float* part = state.part + static_cast<size_t>(q0) * padded + d;
    typename V::F acc[N][K];
    for (int q = 0; q < N; ++q)
        for (int j = 0; j < K; ++j) acc[q][j] = V::load(part + q * padded + 16 * j);
    for (uint32_t key = begin; key < end; ++key) {
        const uint16_t* values = kv.values(key / 16) + (key % 16) * padded + d;
        typename V::F v[K];
        for (int j = 0; j < K; ++j) v[j] = V::load_half(values + 16 * j);
        for (int q = 0; q < N; ++q) {
            const auto weight = V::all(state.scores[q0 + q][key - span_begin]);
            for (int j = 0; j < K; ++j) acc[q][j] = V::fma(v[j], weight, acc[q][j]);
        }
    }
    for (int q = 0; q < N; ++q)
        for (int j = 0; j < K; ++j) V::store(part + q * padded + 16 * j, acc[q][j]);
}

template <class V, int N, int M>
void span_values(const KvHead& kv, uint32_t span_begin, uint32_t begin, uint32_t end, int q0,
                 AttentionState<M>& state) {
    in_runs<V::kStrips>(0, kv.padded_dim() / 16, [&]<int K>(size_t strip) {
        value_strips<V, N, K>(kv, span_begin, begin, end, q0, 16 * strip, state);
    });
}

template <class V, int N>
void merge_span(const KvHead& kv, int q, bool first, float m, float l, AttentionState<N>& state) {
    const size_t padded = kv.padded_dim();
    float* sum = state.sum + static_cast<size_t>(q) * padded;
    const float* part = state.part + static_cast<size_t>(q) * padded;
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
        }
        for (size_t d = 0; d < N * padded; d += 16) V::store(state.part + d, V::zero());
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
            store_up_to<V>(out[q] + d, kv.head_dim - d,
                           V::div(V::load(state.sum + static_cast<size_t>(q) * padded + d), l));
    }
}

/// The last queries are fewer than kGroup: often the three or seven that share one key head.
template <class V>
void attend(const KvHead& kv, const Queries& queries) {
    const auto group = [&]<int N>(size_t at) {
        attend_group<V, N>(kv, queries.rows + at, queries.out + at, queries.lengths + at,
                           queries.scale);
    };
    size_t at = 0;
    for (; at + kGroup <= queries.count; at += kGroup) group.template operator()<kGroup>(at);
    if (queries.count - at == 3) group.template operator()<3>(at);
    if (queries.count - at == 2) group.template operator()<2>(at);
    if (queries.count - at == 1) group.template operator()<1>(at);
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
