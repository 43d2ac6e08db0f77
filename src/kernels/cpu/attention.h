// Attention of a group of queries to one head's keys and values.
//
// The keys are cut into spans of 256 at fixed positions. A span is finished on its own: scores of
// 16 keys at a time (lanes are keys, the head's elements in order), their maximum m, the weights
// exp(score - m) and their sum l, the weighted values o (lanes are elements, keys in order). Spans
// are merged in order: with M = max(m1, m2), o = o1 e^(m1-M) + o2 e^(m2-M), and l alike. So the
// bits of a query's result depend on its own length and the stored keys alone, however many
// queries, threads or chunks there are. (Online softmax: Milakov and Gimelshein, arXiv 1805.02867.)
//
// Queries of a group share each conversion of keys and values from what is stored. Scales of bytes
// meet the scores and the weights, 16 keys at a time, and never the elements. Few queries wait for
// memory only, and blocks lie apart where the hardware does not look ahead; so while one block is
// used, one a few ahead is asked for.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/line_vector.h"
#include "kernels/cpu/kv_storage.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/runs.h"
#include "kernels/kernels.h"

namespace dunlin {

inline constexpr int kGroup = 4;  // queries handled together

/// Strips of 16 that a pass over N queries has: enough sums under way to hide the latency of a
/// multiply-add, and no more than there are registers.
template <class V, int N>
inline constexpr int kStripsAtOnce = std::min(8, V::kStrips*(N == 1   ? 4
                                                             : N == 2 ? 2
                                                                      : 1));

/// How many blocks ahead memory is asked for, into the second cache: the first one has too few
/// places for what is under way.
inline constexpr size_t kBlocksAhead = 4;
inline void ask_for(const void* line) {
    __builtin_prefetch(line, 0, 2);
}

/// The keys of a span, and the queries that look at them.
struct SpanQueries {
    const float* const* rows;
    const uint32_t* lengths;
    float scale;
    uint32_t begin, end;  // of the span, as far as the longest query sees
};

/// Products of elements [begin, end) of K blocks' keys with those of N queries. `next` says what to
/// ask for meanwhile, in the same order.
template <class V, class S, int N, int K>
[[gnu::always_inline]] inline void key_products(const typename S::Number* const (&keys)[K],
                                                const typename S::Number* const (&next)[K],
                                                const float* const* rows, uint32_t begin,
                                                uint32_t end, typename V::F (&acc)[N][K]) {
    constexpr uint32_t kPerLine = kCacheLineBytes / (16 * sizeof(typename S::Number));
    const auto element = [&](uint32_t d) {
        typename V::F x[N];
        for (int q = 0; q < N; ++q) x[q] = V::all(rows[q][d]);
        for (int j = 0; j < K; ++j) {
            const auto k = S::load(keys[j] + d * 16);
            for (int q = 0; q < N; ++q) acc[q][j] = V::fma(k, x[q], acc[q][j]);
        }
    };
    for (int q = 0; q < N; ++q)
        for (int j = 0; j < K; ++j) acc[q][j] = V::zero();
    uint32_t d = begin;
    for (; d + kPerLine <= end; d += kPerLine) {
        for (int j = 0; j < K; ++j) ask_for(next[j] + d * 16);
#pragma GCC unroll 1  // unrolled, it would need more registers than there are
        for (uint32_t i = 0; i < kPerLine; ++i) element(d + i);
    }
    for (; d < end; ++d) element(d);
}

/// Scores of K strips of 16 keys, from block `block` on, into scores[query][key of the span]. Of
/// bytes, groups of elements are added in order, each times its scale.
template <class V, class S, int N, int K>
void score_strips(const Blocks<S>& kv, const SpanQueries& span, size_t block,
                  float (*scores)[kSpanKeys]) {
    const size_t first = span.begin / 16;
    const size_t last = (span.end + 15) / 16;
    const typename S::Number* keys[K];
    const typename S::Number* next[K];
    for (int j = 0; j < K; ++j) {
        keys[j] = kv.keys(block + j);
        // Behind the last keys come the first values.
        const size_t ahead = block + (K > kBlocksAhead ? K : kBlocksAhead) + j;
        next[j] = ahead < last                  ? kv.keys(ahead)
                  : ahead - last + first < last ? kv.values(ahead - last + first)
                                                : keys[j];
    }
    const uint32_t size = S::kScaled ? kKeyGroup : kv.head_dim();
    for (uint32_t d = 0; d < kv.head_dim(); d += size) {
        const uint32_t end = d + size < kv.head_dim() ? d + size : kv.head_dim();
        typename V::F acc[N][K];
        key_products<V, S, N, K>(keys, next, span.rows, d, end, acc);
        for (int j = 0; j < K; ++j) {
            for (int q = 0; q < N; ++q) {
                float* at = &scores[q][16 * (block + j) - span.begin];
                auto score = acc[q][j];
                if constexpr (S::kScaled) {
                    const auto scale = V::load_half(kv.key_scales(block + j, d / kKeyGroup));
                    score = d == 0 ? V::mul(score, scale) : V::fma(score, scale, V::load(at));
                }
                if (end == kv.head_dim()) score = V::mul(score, V::all(span.scale));
                V::store(at, score);
            }
        }
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

/// Makes weights of stored values of weights of values.
template <class V, class S>
void scale_weights(const Blocks<S>& kv, uint32_t span_begin, uint32_t count, float* weights) {
    if constexpr (S::kScaled)
        for (uint32_t i = 0; i < count; i += 16)
            V::store(weights + i, V::mul(V::load(weights + i),
                                         V::load_half(kv.value_scales((span_begin + i) / 16))));
}

/// Adds weight x value for keys [begin, end) of the span, in order, to N queries' parts, in K
/// strips of 16 elements from `d` on.
template <class V, class S, int N, int K>
void value_strips(const Blocks<S>& kv, uint32_t span_begin, uint32_t begin, uint32_t end, size_t d,
                  const float (*weights)[kSpanKeys], float* parts, size_t stride) {
    const size_t padded = kv.padded();
    const size_t row_bytes = d == 0 ? padded * sizeof(typename S::Number) : 0;
    typename V::F acc[N][K];
    for (int q = 0; q < N; ++q)
        for (int j = 0; j < K; ++j) acc[q][j] = V::load(parts + q * stride + d + 16 * j);
    while (begin < end) {
        const uint32_t block_end = begin / 16 * 16 + 16 < end ? begin / 16 * 16 + 16 : end;
        const auto* values = kv.values(begin / 16) + begin % 16 * padded;
        const size_t ahead = begin / 16 + kBlocksAhead;
        const auto* next = 16 * ahead < end ? kv.values(ahead) : values;
        for (; begin < block_end; ++begin, values += padded, next += padded) {
            for (size_t at = 0; at < row_bytes; at += kCacheLineBytes)
                ask_for(reinterpret_cast<const std::byte*>(next) + at);
            typename V::F w[N];
            for (int q = 0; q < N; ++q) w[q] = V::all(weights[q][begin - span_begin]);
            for (int j = 0; j < K; ++j) {
                const auto v = S::load(values + d + 16 * j);
                for (int q = 0; q < N; ++q) acc[q][j] = V::fma(v, w[q], acc[q][j]);
            }
        }
    }
    for (int q = 0; q < N; ++q)
        for (int j = 0; j < K; ++j) V::store(parts + q * stride + d + 16 * j, acc[q][j]);
}

template <class V, class S, int N>
void span_values(const Blocks<S>& kv, uint32_t span_begin, uint32_t begin, uint32_t end,
                 const float (*weights)[kSpanKeys], float* parts, size_t stride) {
    in_runs<kStripsAtOnce<V, N>>(0, kv.padded() / 16, [&]<int K>(size_t strip) {
        value_strips<V, S, N, K>(kv, span_begin, begin, end, 16 * strip, weights, parts, stride);
    });
}

/// What one span gives N queries; see Kernels::attend_span. Where a query sees nothing of the span,
/// its part is left as it was.
template <class V, class S, int N>
void span_parts(const Blocks<S>& kv, const SpanQueries& span, float* parts, size_t stride) {
    float scores[N][kSpanKeys];
    const size_t padded = kv.padded();
    in_runs<kStripsAtOnce<V, N>>(span.begin / 16, (span.end + 15) / 16, [&]<int K>(size_t block) {
        score_strips<V, S, N, K>(kv, span, block, scores);
    });
    uint32_t own_end[N];
    for (int q = 0; q < N; ++q) {
        own_end[q] = span.lengths[q] < span.end ? span.lengths[q] : span.end;
        if (own_end[q] <= span.begin) continue;
        const uint32_t count = own_end[q] - span.begin;
        float* part = parts + static_cast<size_t>(q) * stride;
        span_weights<V>(scores[q], count, part[padded], part[padded + 1]);
        scale_weights<V>(kv, span.begin, count, scores[q]);
        for (size_t d = 0; d < padded; d += 16) V::store(part + d, V::zero());
    }
    // Keys that all queries see are read once for all; the last few, of a prompt, one by one.
    const uint32_t shared = own_end[0] < span.begin ? span.begin : own_end[0];
    if (shared > span.begin)
        span_values<V, S, N>(kv, span.begin, span.begin, shared, scores, parts, stride);
    for (int q = 0; q < N; ++q)
        if (own_end[q] > shared)
            span_values<V, S, 1>(kv, span.begin, shared, own_end[q], scores + q,
                                 parts + static_cast<size_t>(q) * stride, stride);
}

/// Adds the part of a query's next span to those before.
template <class V>
void merge_part(const float* part, size_t padded, float* sum) {
    const float m1 = sum[padded], m2 = part[padded];
    const float top = m1 > m2 ? m1 : m2;
    float both[16] = {m1 - top, m2 - top};
    V::store(both, exp_lanes<V>(V::load(both)));
    const auto a = V::all(both[0]);
    const auto b = V::all(both[1]);
    for (size_t d = 0; d < padded; d += 16)
        V::store(sum + d, V::fma(V::load(part + d), b, V::mul(V::load(sum + d), a)));
    sum[padded] = top;
    sum[padded + 1] = std::fma(part[padded + 1], both[1], sum[padded + 1] * both[0]);
}

template <class V>
void finish(const KvLayout& layout, const float* sum, float* out) {
    const auto l = V::all(sum[layout.padded_dim() + 1]);
    for (size_t d = 0; d < layout.head_dim; d += 16)
        store_up_to<V>(out + d, layout.head_dim - d, V::div(V::load(sum + d), l));
    turn<V>(layout, out);
}

template <class V>
void merge_spans(const KvLayout& layout, const float* parts, size_t stride, uint32_t spans,
                 float* out) {
    float sum[span_part_floats(kHeadDimMax)];
    const size_t padded = layout.padded_dim();
    std::memcpy(sum, parts, (padded + 2) * sizeof(float));
    for (uint32_t i = 1; i < spans; ++i) merge_part<V>(parts + i * stride, padded, sum);
    finish<V>(layout, sum, out);
}

template <class V, class S, int N>
void attend_group(const Blocks<S>& kv, const Queries& queries, size_t at) {
    const uint32_t* lengths = queries.lengths + at;
    const size_t padded = kv.padded();
    const size_t stride = span_part_floats(kv.head_dim());
    float parts[N * span_part_floats(kHeadDimMax)];
    float sums[N * span_part_floats(kHeadDimMax)];
    const uint32_t longest = lengths[N - 1];
    const TurnedRows<V, N> turned(kv.layout(), queries.rows + at);
    for (uint32_t begin = 0; begin < longest; begin += kSpanKeys) {
        const uint32_t end = begin + kSpanKeys < longest ? begin + kSpanKeys : longest;
        span_parts<V, S, N>(kv, {turned.rows(), lengths, queries.scale, begin, end},
                            begin == 0 ? sums : parts, stride);
        for (int q = 0; q < N && begin > 0; ++q)
            if (lengths[q] > begin) merge_part<V>(parts + q * stride, padded, sums + q * stride);
    }
    for (int q = 0; q < N; ++q) finish<V>(kv.layout(), sums + q * stride, queries.out[at + q]);
}

/// Calls group.operator()<N>(at) for at most kGroup queries at a time. The last are fewer: often
/// the three or seven that share one key head.
template <class Group>
void in_groups(size_t count, Group&& group) {
    size_t at = 0;
    for (; at + kGroup <= count; at += kGroup) group.template operator()<kGroup>(at);
    if (count - at == 3) group.template operator()<3>(at);
    if (count - at == 2) group.template operator()<2>(at);
    if (count - at == 1) group.template operator()<1>(at);
}

/// Calls body(Blocks<S>) with what the head's type is stored as.
template <class V, class Body>
void with_blocks(const KvHead& kv, Body&& body) {
    if (kv.layout.type == KvType::Int8)
        body(Blocks<StoredBytes<V>>(kv));
    else
        body(Blocks<StoredHalves<V>>(kv));
}

template <class V>
void attend(const KvHead& head, const Queries& queries) {
    with_blocks<V>(head, [&]<class S>(const Blocks<S>& kv) {
        in_groups(queries.count, [&]<int N>(size_t at) { attend_group<V, S, N>(kv, queries, at); });
    });
}

template <class V>
void attend_span(const KvHead& head, const Queries& queries, uint32_t span, float* parts) {
    const uint32_t begin = span * kSpanKeys;
    const size_t stride = span_part_floats(head.layout.head_dim);
    with_blocks<V>(head, [&]<class S>(const Blocks<S>& kv) {
        in_groups(queries.count, [&]<int N>(size_t at) {
            const uint32_t longest = queries.lengths[at + N - 1];
            if (longest <= begin) return;
            const uint32_t end = begin + kSpanKeys < longest ? begin + kSpanKeys : longest;
            const TurnedRows<V, N> turned(kv.layout(), queries.rows + at);
            span_parts<V, S, N>(kv,
                                {turned.rows(), queries.lengths + at, queries.scale, begin, end},
                                parts + at * stride, stride);
        });
    });
}

}  // namespace dunlin
