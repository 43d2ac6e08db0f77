// How keys and values are kept, and read back: halves as they are; bytes after a turn that spreads
// large elements (kernels/kv_head.h), with scales. The kernels see either through Blocks.

#pragma once

#include <cmath>
#include <cstring>

#include "kernels/cpu/lanes.h"
#include "kernels/kernels.h"

namespace dunlin {

/// The largest head, a limit that the model loader checks.
inline constexpr size_t kHeadDimMax = 512;

template <class V>
struct StoredHalves {
    using Number = uint16_t;
    static constexpr bool kScaled = false;
    static typename V::F load(const Number* p) { return V::load_half(p); }
};

template <class V>
struct StoredBytes {
    using Number = int8_t;
    static constexpr bool kScaled = true;
    static typename V::F load(const Number* p) { return V::load_bytes(p); }
};

/// Sums of pairs of lanes Apart lanes apart in the lower of each pair, differences in the upper.
template <class V, int Apart>
typename V::F pairs(typename V::F a) {
    float signs[16];
    for (int i = 0; i < 16; ++i) signs[i] = (i & Apart) == 0 ? 1.0F : -1.0F;
    return V::fma(a, V::load(signs), V::template partner<Apart>(a));
}

/// Multiplies each run of layout.turned_together() of head_dim numbers by a Hadamard matrix and the
/// number that makes it its own inverse.
template <class V>
void turn(const KvLayout& layout, float* x) {
    const uint32_t size = layout.turned_together();
    const uint32_t n = layout.head_dim;
    if (size == 1) return;
    const float scale = 1.0F / std::sqrt(static_cast<float>(size));
    if (size < 16) {
        for (uint32_t half = 1; half < size; half *= 2)
            for (uint32_t i = 0; i < n; ++i) {
                if ((i & half) != 0) continue;
                const float a = x[i];
                const float b = x[i + half];
                x[i] = a + b;
                x[i + half] = a - b;
            }
        for (uint32_t i = 0; i < n; ++i) x[i] *= scale;
        return;
    }
    for (uint32_t at = 0; at < n; at += 16) {
        auto part = pairs<V, 2>(pairs<V, 1>(V::load(x + at)));
        part = pairs<V, 8>(pairs<V, 4>(part));
        V::store(x + at, V::mul(part, V::all(scale)));
    }
    for (uint32_t half = 16; half < size; half *= 2)
        for (uint32_t at = 0; at < n; at += 16) {
            if ((at & half) != 0) continue;
            const auto a = V::load(x + at);
            const auto b = V::load(x + at + half);
            V::store(x + at, V::add(a, b));
            V::store(x + at + half, V::fma(b, V::all(-1.0F), a));
        }
}

/// The rows as the keys are: turned where those are.
template <class V, int N>
class TurnedRows {
 public:
    TurnedRows(const KvLayout& layout, const float* const* rows) {
        for (int q = 0; q < N; ++q) rows_[q] = rows[q];
        if (layout.turned_together() == 1) return;
        for (int q = 0; q < N; ++q) {
            std::memcpy(turned_[q], rows[q], layout.head_dim * sizeof(float));
            turn<V>(layout, turned_[q]);
            rows_[q] = turned_[q];
        }
    }
    TurnedRows(const TurnedRows&) = delete;  // looks into itself
    const float* const* rows() const { return rows_; }

 private:
    float turned_[N][kHeadDimMax];
    const float* rows_[N];
};

/// The blocks of a KvHead whose numbers are stored as S has it.
template <class S>
class Blocks {
 public:
    using Number = typename S::Number;
    explicit Blocks(const KvHead& kv)
        : kv_(kv), keys_at_(kv.layout.scale_bytes()), values_at_(kv.layout.values_at()) {}

    const KvLayout& layout() const { return kv_.layout; }
    uint32_t head_dim() const { return kv_.layout.head_dim; }
    size_t padded() const { return kv_.layout.padded_dim(); }
    const Number* keys(size_t index) const { return numbers(index, keys_at_); }
    const Number* values(size_t index) const { return numbers(index, values_at_); }
    const uint16_t* value_scales(size_t index) const {
        return reinterpret_cast<const uint16_t*>(kv_.block(index));
    }
    const uint16_t* key_scales(size_t index, size_t group) const {
        return value_scales(index) + (1 + group) * kKvBlockTokens;
    }

 private:
    const Number* numbers(size_t index, size_t at) const {
        return reinterpret_cast<const Number*>(kv_.block(index) + at);
    }
    const KvHead& kv_;
    const size_t keys_at_, values_at_;
};

template <class V>
void store_halves(const float* key, const float* value, const KvLayout& layout, uint32_t slot,
                  std::byte* block) {
    const uint32_t head_dim = layout.head_dim;
    auto* keys = reinterpret_cast<uint16_t*>(block);
    auto* values =
        reinterpret_cast<uint16_t*>(block + layout.values_at()) + slot * layout.padded_dim();
    for (size_t d = 0; d < head_dim; d += 16) {
        uint16_t halves[16];
        V::store_half(halves, load_up_to<V>(key + d, head_dim - d));
        for (size_t i = d; i < head_dim && i < d + 16; ++i) keys[i * 16 + slot] = halves[i - d];
        V::store_half(values + d, load_up_to<V>(value + d, head_dim - d));
    }
}

/// n numbers as bytes, 16 at a time to store(d, bytes); returns their scale, a half: the largest is
/// 127 of it. Where any number is not finite the scale is not either, so that it shows.
template <class V, class Store>
uint16_t to_bytes(const float* x, size_t n, Store&& store) {
    auto largest = V::zero();
    auto probe = V::zero();  // stays 0 while all are finite
    for (size_t d = 0; d < n; d += 16) {
        const auto part = load_up_to<V>(x + d, n - d);
        largest = V::max(V::abs(part), largest);
        probe = V::fma(part, V::zero(), probe);
    }
    const float top = max_lanes<V>(largest) + sum_lanes<V>(probe);
    uint16_t halves[16];
    V::store_half(halves, V::all(top / 127.0F));
    float scales[16];
    V::store(scales, V::load_half(halves));
    const bool usable = scales[0] > 0.0F && scales[0] < INFINITY;
    const auto inverse = V::all(usable ? 1.0F / scales[0] : 0.0F);
    for (size_t d = 0; d < n; d += 16) {
        const auto part = V::mul(load_up_to<V>(x + d, n - d), inverse);
        // The scale was rounded, so that the largest may be beyond 127 of it.
        const auto held = V::min(V::max(part, V::all(-127.0F)), V::all(127.0F));
        int8_t bytes[16];
        V::store_bytes(bytes, V::round(held));
        store(d, bytes);
    }
    return halves[0];
}

template <class V>
void store_bytes(const float* key, const float* value, const KvLayout& layout, uint32_t slot,
                 std::byte* block) {
    const uint32_t head_dim = layout.head_dim;
    auto* scales = reinterpret_cast<uint16_t*>(block) + slot;
    auto* keys = reinterpret_cast<int8_t*>(block + layout.scale_bytes());
    auto* values =
        reinterpret_cast<int8_t*>(block + layout.values_at()) + slot * layout.padded_dim();
    float turned_key[kHeadDimMax], turned_value[kHeadDimMax];
    std::memcpy(turned_key, key, head_dim * sizeof(float));
    std::memcpy(turned_value, value, head_dim * sizeof(float));
    turn<V>(layout, turned_key);
    turn<V>(layout, turned_value);
    scales[0] = to_bytes<V>(turned_value, head_dim, [&](size_t d, const int8_t* bytes) {
        std::memcpy(values + d, bytes, 16);
    });
    for (uint32_t group = 0; group < layout.key_groups(); ++group) {
        const uint32_t begin = group * kKeyGroup;
        const uint32_t count = begin + kKeyGroup < head_dim ? kKeyGroup : head_dim - begin;
        scales[(1 + group) * kKvBlockTokens] =
            to_bytes<V>(turned_key + begin, count, [&](size_t d, const int8_t* bytes) {
                for (size_t i = d; i < count && i < d + 16; ++i)
                    keys[(begin + i) * 16 + slot] = bytes[i - d];
            });
    }
}

template <class V>
void store_kv(const float* key, const float* value, const KvLayout& layout, uint32_t slot,
              std::byte* block) {
    if (layout.type == KvType::Int8)
        store_bytes<V>(key, value, layout, slot, block);
    else
        store_halves<V>(key, value, layout, slot, block);
}

}  // namespace dunlin
