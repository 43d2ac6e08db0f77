#pragma once

#include <cstddef>
#include <cstdint>

namespace dunlin {

/// How keys and values are kept: as halves, or as signed bytes with scales, which are halves: for
/// each token's value in a head one, and for its key one for every kKeyGroup elements. Keys have a
/// few elements that are much larger than the others, so both are turned before: runs of
/// turned_together() elements by the Hadamard matrix of that size, which spreads each over all.
/// Queries turned alike have the same scores, and what the weighted values give is turned back.
/// (Ashkboos et al., arXiv 2404.00456.)
enum class KvType : uint8_t { F16, Int8 };

inline constexpr uint32_t kKeyGroup = 32;

/// Tokens whose keys and values of one head stand together.
inline constexpr uint32_t kKvBlockTokens = 16;

/// What a block of one head looks like. Scales, of bytes only: 16 of values, then 16 of each group
/// of the keys' elements. Then keys as [head_dim][16], so that 16 keys meet one element of a query
/// at once; then values as [16][head_dim rounded up to 16].
struct KvLayout {
    KvType type = KvType::F16;
    uint32_t head_dim = 0;

    size_t padded_dim() const { return (head_dim + 15) / 16 * 16; }
    /// The largest power of two that divides head_dim, of bytes; else 1.
    uint32_t turned_together() const {
        return type == KvType::Int8 ? head_dim & (~head_dim + 1) : 1;
    }
    uint32_t key_groups() const { return (head_dim + kKeyGroup - 1) / kKeyGroup; }
    size_t scale_bytes() const {
        return type == KvType::Int8 ? size_t{1 + key_groups()} * kKvBlockTokens * 2 : 0;
    }
    size_t element_bytes() const { return type == KvType::Int8 ? 1 : 2; }
    size_t values_at() const { return scale_bytes() + kKvBlockTokens * head_dim * element_bytes(); }
    size_t block_bytes() const {
        return values_at() + kKvBlockTokens * padded_dim() * element_bytes();
    }
};

/// How the blocks of one head stand in memory: in groups of a power of two.
struct KvStrides {
    size_t block = 0;           // bytes from a block to the next of its group
    size_t group = 0;           // and from a group to the next
    uint32_t group_shift = 31;  // log2 of a group's blocks: by default all are in one

    size_t at(uint32_t block_id) const {
        return (block_id >> group_shift) * group +
               (block_id & ((uint32_t{1} << group_shift) - 1)) * block;
    }
};

/// Where the keys and values of one head of one sequence stand.
struct KvHead {
    KvLayout layout = {};
    const std::byte* base = nullptr;  // of this layer and head; aligned for halves
    KvStrides strides = {};
    const uint32_t* blocks = nullptr;  // of the sequence, in order

    const std::byte* block(size_t index) const { return base + strides.at(blocks[index]); }
};

}  // namespace dunlin
