// Attention as a layer: rotate queries and keys, store keys and values, then let every query look
// at what its sequence has stored. That waits for all storing, so that a row reads only stored
// halves, also of its own step: what was computed a moment ago and what was cached give the same
// bits.

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "models/layers.h"

namespace dunlin {
namespace {

/// Rows of one sequence whose queries of one key head are computed together.
constexpr uint32_t kQueryRows = 16;

void rotate(const Rotary& rotary, const float* angles, float* head) {
    const size_t pairs = rotary.frequencies.size();
    const size_t step = rotary.interleaved ? 2 : 1;
    const size_t apart = rotary.interleaved ? 1 : pairs;
    for (size_t i = 0; i < pairs; ++i) {
        const float cosine = angles[2 * i];
        const float sine = angles[2 * i + 1];
        float& a = head[i * step];
        float& b = head[i * step + apart];
        const float turned = a * cosine - b * sine;
        b = a * sine + b * cosine;
        a = turned;
    }
}

/// Where queries, keys and values begin in a row of qkv.
struct Parts {
    size_t key, value;
};
Parts parts_of(const ModelConfig& c) {
    const size_t q = round_up<size_t>(size_t{c.num_attention_heads} * c.head_dim, kPanelRows);
    const size_t kv = round_up<size_t>(size_t{c.num_key_value_heads} * c.head_dim, kPanelRows);
    return {q, q + kv};
}

const ForwardBatch::Sequence& sequence_of(const ForwardBatch& batch, size_t row) {
    const auto after =
        std::upper_bound(batch.sequences.begin(), batch.sequences.end(), row,
                         [](size_t r, const ForwardBatch::Sequence& s) { return r < s.first_row; });
    return *std::prev(after);
}

void rotate_and_store(Pass& pass, uint32_t layer, const Rotary& rotary) {
    const ModelConfig& c = pass.config;
    const Parts parts = parts_of(c);
    pass.each_row(pass.rows(), [&](size_t row) {
        const auto& sequence = sequence_of(pass.batch, row);
        const uint32_t position = pass.space.positions[row];
        const float* angles = pass.space.angles.data() + row * 2 * rotary.frequencies.size();
        float* qkv = pass.space.qkv.row(row);
        for (uint32_t h = 0; h < c.num_attention_heads; ++h)
            rotate(rotary, angles, qkv + size_t{h} * c.head_dim);
        const BlockId block = sequence.blocks[position / kBlockTokens];
        for (uint32_t h = 0; h < c.num_key_value_heads; ++h) {
            float* key = qkv + parts.key + size_t{h} * c.head_dim;
            const float* value = qkv + parts.value + size_t{h} * c.head_dim;
            rotate(rotary, angles, key);
            pass.kernels.store_kv(key, value, c.head_dim, position % kBlockTokens,
                                  pass.kv.block(layer, h, block));
        }
    });
}

/// The queries of rows [begin, end) of a sequence that look at key head `head`.
void attend_rows(Pass& pass, uint32_t layer, const ForwardBatch::Sequence& sequence, uint32_t head,
                 uint32_t begin, uint32_t end) {
    constexpr size_t kQueriesMax = 64;
    const ModelConfig& c = pass.config;
    const uint32_t shared_by = c.num_attention_heads / c.num_key_value_heads;
    const KvHead kv = pass.kv.head(layer, head, sequence.blocks);
    const float* rows[kQueriesMax];
    float* out[kQueriesMax];
    uint32_t lengths[kQueriesMax];
    Queries queries{rows, out, lengths, 0, 1.0F / std::sqrt(static_cast<float>(c.head_dim))};
    const auto flush = [&] {
        if (queries.count > 0) pass.kernels.attend(kv, queries);
        queries.count = 0;
    };
    for (uint32_t i = begin; i < end; ++i) {
        for (uint32_t g = 0; g < shared_by; ++g) {
            const size_t offset = (size_t{head} * shared_by + g) * c.head_dim;
            rows[queries.count] = pass.space.qkv.row(sequence.first_row + i) + offset;
            out[queries.count] = pass.space.attended.row(sequence.first_row + i) + offset;
            lengths[queries.count] = sequence.first_position + i + 1;
            if (++queries.count == kQueriesMax) flush();
        }
    }
    flush();
}

/// Columns of the output that belong to one key head: those of the queries that share it.
size_t group_columns(const ModelConfig& c) {
    return size_t{c.num_attention_heads} / c.num_key_value_heads * c.head_dim;
}

/// Quantizes what attend_rows() wrote, where that is whole blocks.
void quantize_group(Pass& pass, const ForwardBatch::Sequence& sequence, uint32_t head,
                    uint32_t begin, uint32_t end) {
    Features& out = pass.space.attended;
    const size_t columns = group_columns(pass.config);
    for (size_t row = sequence.first_row + begin; row < sequence.first_row + end; ++row)
        pass.kernels.quantize(out.row(row) + head * columns, row, head * columns / kBlock,
                              columns / kBlock, out.quantized_rows());
}

}  // namespace

void attention(Pass& pass, uint32_t layer, const Rotary& rotary) {
    rotate_and_store(pass, layer, rotary);

    // A unit is one key head for up to kQueryRows rows of one sequence.
    const uint32_t heads = pass.config.num_key_value_heads;
    Features& out = pass.space.attended;
    const bool whole_blocks = group_columns(pass.config) % kBlock == 0;
    size_t units = 0;
    for (const auto& s : pass.batch.sequences)
        units += (s.rows + kQueryRows - 1) / kQueryRows * heads;
    pass.share(units, 1, [&](size_t first, size_t last) {
        for (size_t unit = first; unit < last; ++unit) {
            size_t index = unit;
            for (const auto& s : pass.batch.sequences) {
                const size_t own = size_t{(s.rows + kQueryRows - 1) / kQueryRows} * heads;
                if (index < own) {
                    // Longest first: later rows see more keys.
                    const auto piece = static_cast<uint32_t>(own / heads - 1 - index / heads);
                    const auto head = static_cast<uint32_t>(index % heads);
                    const uint32_t begin = piece * kQueryRows;
                    const uint32_t end = std::min(s.rows, begin + kQueryRows);
                    attend_rows(pass, layer, s, head, begin, end);
                    if (out.quantized() && whole_blocks) quantize_group(pass, s, head, begin, end);
                    break;
                }
                index -= own;
            }
        }
    });
    if (out.quantized() && !whole_blocks)
        pass.each_row(pass.rows(), [&](size_t row) {
            pass.kernels.quantize(out.row(row), row, 0, out.quantized_rows().blocks(),
                                  out.quantized_rows());
        });
}

}  // namespace dunlin
