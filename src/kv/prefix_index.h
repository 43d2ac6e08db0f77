#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "kv/paged_sequences.h"

namespace dunlin {

/// Which block holds the state of which tokens. An entry is a full block of tokens after a certain
/// prefix of a certain domain; the prefix is known by a chained 128-bit digest, the block's own
/// tokens are compared one by one, so that a hit is never a collision of hashes alone.
/// Not thread-safe.
class PrefixIndex {
 public:
    explicit PrefixIndex(uint32_t blocks) : entries_(blocks) {}

    /// The chain's start for a domain, and its continuation by one block of tokens.
    static Digest root(Digest domain);
    static Digest extend(Digest parent, std::span<const TokenId> tokens);

    /// The block that holds exactly these kBlockTokens tokens after `parent`.
    std::optional<BlockId> find(Digest parent, std::span<const TokenId> tokens) const;

    /// Of the blocks after `parent` the one that begins with the most of `tokens`, and how many.
    struct Partial {
        BlockId block;
        uint32_t tokens;
    };
    std::optional<Partial> find_partial(Digest parent, std::span<const TokenId> tokens) const;

    /// Makes a block findable. False, and nothing done, where another already holds the same.
    bool insert(Digest parent, std::span<const TokenId> tokens, BlockId block);
    void erase(BlockId block);
    bool contains(BlockId block) const { return entries_[block].present; }
    size_t size() const { return size_; }

 private:
    struct Entry {
        bool present = false;
        Digest parent;
        std::array<TokenId, kBlockTokens> tokens;
    };
    struct Hash {
        size_t operator()(const Digest& digest) const { return digest.lo; }
    };
    std::vector<Entry> entries_;                                    // by block
    std::unordered_map<Digest, std::vector<BlockId>, Hash> after_;  // children of a prefix
    size_t size_ = 0;
};

}  // namespace dunlin
