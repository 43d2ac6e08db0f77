#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/bfloat_rows.h"
#include "kernels/isa.h"
#include "kernels/kv_head.h"
#include "kernels/packed_matrix.h"
#include "kernels/quantized_rows.h"

namespace dunlin {

/// Keys that one piece of attention covers; pieces begin at multiples of it.
inline constexpr uint32_t kSpanKeys = 256;

/// What one span gives one query: the weighted values, head_dim rounded up to 16, then the maximum
/// of the scores and the sum of the weights, and room to the next multiple of 16.
constexpr size_t span_part_floats(size_t head_dim) {
    return (head_dim + 15) / 16 * 16 + 16;
}

/// Queries that share a KvHead. Query i sees the first `lengths[i]` tokens.
struct Queries {
    const float* const* rows = nullptr;  // [count], each [head_dim]
    float* const* out = nullptr;         // [count], each [head_dim]
    const uint32_t* lengths = nullptr;   // [count], ascending, at least 1
    size_t count = 0;
    float scale = 1.0F;  // of the scores
};

/// Room for what a thread had before kernels ran on it.
struct alignas(64) ThreadState {
    std::byte bytes[64];
};

/// The arithmetic of a model, for one instruction set. Every function is pure and gives the same
/// bits on every instruction set: the order of additions is part of its contract, and depends
/// neither on how many rows are computed together nor on which.
struct Kernels {
    Isa isa;

    /// What a thread needs before it calls any of the others, and gives back after them; null where
    /// that is nothing. See KernelScope.
    void (*enter)(ThreadState& before) = nullptr;
    void (*leave)(const ThreadState& before) = nullptr;

    /// out[i] = x[i] * weight[i] / sqrt(mean(x^2) + eps). The squares are added in 16 lanes
    /// (element i in lane i % 16), the lanes as a balanced tree.
    void (*rms_norm)(const float* x, const float* weight, size_t n, float eps, float* out);

    /// Blocks [block, block + count) of row `row` of `out`, from 32 * count floats.
    void (*quantize)(const float* x, size_t row, size_t block, size_t count,
                     const QuantizedRows& out);

    /// The same as BF16; the last block may be a part of one.
    void (*round_to_bfloats)(const float* x, size_t row, size_t block, size_t count,
                             const BfloatRows& out);

    /// out[t * out_stride + lane] (+)= row `16 * panel + lane` of the matrix times row t of x, for
    /// t in [row_begin, row_end). For each block ascending: the min term, then the scale term, each
    /// one fused multiply-add; after all blocks the outliers, ascending, one each.
    /// REQUIRES: a quantized matrix.
    void (*multiply_quantized)(const PackedMatrix& matrix, size_t panel, const QuantizedRows& x,
                               size_t row_begin, size_t row_end, float* out, size_t out_stride,
                               bool add);

    /// The same for a matrix of BF16. For each pair of columns ascending the odd one's product,
    /// then the even one's, each one fused multiply-add.
    void (*multiply_bfloats)(const PackedMatrix& matrix, size_t panel, const BfloatRows& x,
                             size_t row_begin, size_t row_end, float* out, size_t out_stride,
                             bool add);

    /// The same for a matrix of F32 or F16 and x[t * x_stride + column]; columns ascending.
    void (*multiply_plain)(const PackedMatrix& matrix, size_t panel, const float* x,
                           size_t x_stride, size_t row_begin, size_t row_end, float* out,
                           size_t out_stride, bool add);

    /// out[i] = gate[i] / (1 + exp(-gate[i])) * up[i]; `out` may be `gate`.
    void (*silu_mul)(const float* gate, const float* up, size_t n, float* out);

    /// Softmax attention over spans of kSpanKeys keys at fixed positions, each finished on its own
    /// (maximum, sum, weighted values; keys ascending) and merged ascending.
    void (*attend)(const KvHead& kv, const Queries& queries);

    /// The same in pieces, for several threads. What span number `span` gives each query goes to
    /// parts[query][span_part_floats(head_dim)], where the query sees any of it.
    void (*attend_span)(const KvHead& kv, const Queries& queries, uint32_t span, float* parts);
    /// And the result of one query whose part of span i stands at parts + i * stride.
    void (*merge_spans)(const KvLayout& layout, const float* parts, size_t stride, uint32_t spans,
                        float* out);

    /// Writes one token's key and value, each [head_dim], to place `slot` of a block.
    void (*store_kv)(const float* key, const float* value, const KvLayout& layout, uint32_t slot,
                     std::byte* block);
};

/// Kernels may be called on a thread while one of these lives there.
class KernelScope {
 public:
    explicit KernelScope(const Kernels& kernels) : kernels_(kernels) {
        if (kernels_.enter != nullptr) kernels_.enter(before_);
    }
    ~KernelScope() {
        if (kernels_.leave != nullptr) kernels_.leave(before_);
    }
    KernelScope(const KernelScope&) = delete;
    KernelScope& operator=(const KernelScope&) = delete;

 private:
    const Kernels& kernels_;
    ThreadState before_;
};

/// REQUIRES: `isa` is among available_isas().
const Kernels& kernels_for(Isa isa);

}  // namespace dunlin
