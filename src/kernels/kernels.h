#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "kernels/packed_matrix.h"
#include "kernels/quantized_rows.h"

namespace dunlin {

/// Keys that one piece of attention covers; pieces begin at multiples of it.
inline constexpr uint32_t kSpanKeys = 256;

/// Where the keys and values of one head of one sequence stand: blocks of 16 tokens, as halves.
/// A block holds keys as [head_dim][16], so that 16 keys meet one element of a query at once, then
/// values as [16][head_dim rounded up to 16].
struct KvHead {
    const uint16_t* base = nullptr;    // of this layer and head
    size_t block_stride = 0;           // halves from block b to block b + 1
    const uint32_t* blocks = nullptr;  // of the sequence, in order
    uint32_t head_dim = 0;

    size_t padded_dim() const { return (head_dim + 15) / 16 * 16; }
    const uint16_t* keys(size_t index) const { return base + blocks[index] * block_stride; }
    const uint16_t* values(size_t index) const { return keys(index) + size_t{16} * head_dim; }
};

/// Queries that share a KvHead. Query i sees the first `lengths[i]` tokens.
struct Queries {
    const float* const* rows = nullptr;  // [count], each [head_dim]
    float* const* out = nullptr;         // [count], each [head_dim]
    const uint32_t* lengths = nullptr;   // [count], ascending, at least 1
    size_t count = 0;
    float scale = 1.0F;  // of the scores
};

/// The arithmetic of a model, for one instruction set. Every function is pure and gives the same
/// bits on every instruction set: the order of additions is part of its contract, and depends
/// neither on how many rows are computed together nor on which.
struct Kernels {
    Isa isa;

    /// out[i] = x[i] * weight[i] / sqrt(mean(x^2) + eps). The squares are added in 16 lanes
    /// (element i in lane i % 16), the lanes as a balanced tree.
    void (*rms_norm)(const float* x, const float* weight, size_t n, float eps, float* out);

    /// Blocks [block, block + count) of row `row` of `out`, from 32 * count floats.
    void (*quantize)(const float* x, size_t row, size_t block, size_t count,
                     const QuantizedRows& out);

    /// out[t * out_stride + lane] (+)= row `16 * panel + lane` of the matrix times row t of x, for
    /// t in [row_begin, row_end). For each block ascending: the min term, then the scale term, each
    /// one fused multiply-add; after all blocks the outliers, ascending, one each.
    /// REQUIRES: a quantized matrix.
    void (*multiply_quantized)(const PackedMatrix& matrix, size_t panel, const QuantizedRows& x,
                               size_t row_begin, size_t row_end, float* out, size_t out_stride,
                               bool add);

    /// The same for a matrix of plain numbers and x[t * x_stride + column]; columns ascending.
    void (*multiply_plain)(const PackedMatrix& matrix, size_t panel, const float* x,
                           size_t x_stride, size_t row_begin, size_t row_end, float* out,
                           size_t out_stride, bool add);

    /// out[i] = gate[i] / (1 + exp(-gate[i])) * up[i]
    void (*silu_mul)(const float* gate, const float* up, size_t n, float* out);

    /// Softmax attention over spans of kSpanKeys keys at fixed positions, each finished on its own
    /// (maximum, sum, weighted values; keys ascending) and merged ascending.
    void (*attend)(const KvHead& kv, const Queries& queries);

    /// Writes one token's key and value, each [head_dim], to place `slot` of a block.
    void (*store_kv)(const float* key, const float* value, uint32_t head_dim, uint32_t slot,
                     uint16_t* block);
};

/// REQUIRES: `isa` is among available_isas().
const Kernels& kernels_for(Isa isa);

}  // namespace dunlin
