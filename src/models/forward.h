#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/ids.h"
#include "base/pages.h"
#include "kernels/kernels.h"
#include "kv/paged_sequences.h"

namespace dunlin {

/// Layers [begin, end).
struct LayerRange {
    uint32_t begin = 0, end = UINT32_MAX;
};

/// The most rows that may stop between two layers.
inline constexpr uint32_t kPartRowsMax = 16;

/// One step's rows, as plain arrays. Row r is one token; the rows of a sequence lie side by side in
/// order of position. Nothing here outlives the step.
///
/// The last sequence's rows go through `last_layers` only: those before them they have gone through
/// in earlier steps, and after them they stop (the workspace keeps where, until the next that do).
struct ForwardBatch {
    struct Sequence {
        uint32_t first_row = 0, rows = 0;
        uint32_t first_position = 0;      // of first_row; the tokens before have their state
        std::span<const BlockId> blocks;  // hold at least first_position + rows tokens
    };
    std::span<const TokenId> tokens;  // [rows]
    std::span<const Sequence> sequences;
    std::span<const uint32_t> output_rows;  // which rows' logits are wanted, ascending
    LayerRange last_layers = {};

    /// What this layer computes: all, or all but the last sequence.
    ForwardBatch in_layer(uint32_t layer) const {
        ForwardBatch here = *this;
        if (layer < last_layers.begin || layer >= last_layers.end) {
            here.tokens = tokens.first(sequences.back().first_row);
            here.sequences = sequences.first(sequences.size() - 1);
        }
        return here;
    }
};

/// Memory for the keys and values of one model: for each layer and head, blocks of 16 tokens, as
/// KvLayout has them. A block index means the same place in every layer, so one block table serves
/// them all. A few blocks that follow each other stand together in all layers, one layer behind the
/// other: so a layer reads on for a while, and a short sequence is in few large pages.
class KvStore {
 public:
    struct Dimensions {
        uint32_t layers = 0, heads = 0, head_dim = 0, blocks = 0;
        KvType type = KvType::F16;
    };
    static Expected<KvStore> allocate(const Dimensions& dimensions);

    /// Where `head` of `layer` of a sequence stands; `blocks` is borrowed.
    KvHead head(uint32_t layer, uint32_t head, std::span<const BlockId> blocks) const;
    std::byte* block(uint32_t layer, uint32_t head, BlockId block);
    const KvLayout& layout() const { return layout_; }

    /// Copies a whole block in every layer: what lies behind the wanted tokens is overwritten
    /// before it is read.
    void copy(BlockId from, BlockId to);

    uint64_t bytes() const { return block_bytes() * dimensions_.blocks; }
    uint64_t block_bytes() const {
        return uint64_t{dimensions_.layers} * dimensions_.heads * layout_.block_bytes();
    }

 private:
    size_t layer_at(uint32_t layer) const;

    Dimensions dimensions_;
    KvLayout layout_;
    KvStrides strides_;
    std::shared_ptr<std::byte> data_;
};

}  // namespace dunlin
