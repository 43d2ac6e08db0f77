#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/ids.h"
#include "kv/paged_sequences.h"

namespace dunlin {

/// Which block holds the state of which tokens. An entry is a full block of tokens after a certain
/// prefix of a certain domain; the prefix is known by a chained 128-bit digest, the block's own
/// tokens are compared one by one, so that a hit is never a collision of hashes alone.
///
/// The entries stand in one order: by prefix, then by their tokens. In it the block that begins
/// with the most of some tokens is a neighbour of the place where those tokens would stand, so
/// every search takes as many comparisons as the logarithm of the entries, however many blocks
/// follow the same prefix.
/// Not thread-safe.
class PrefixIndex {
 public:
    explicit PrefixIndex(uint32_t blocks) : entries_(blocks) {}
    PrefixIndex(const PrefixIndex&) = delete;  // the order looks into the entries

    /// The chain's start for a domain, and its continuation by one block of tokens.
    static Digest root(Digest domain);
    static Digest extend(Digest parent, std::span<const TokenId> tokens);

    /// The block that holds exactly these kBlockTokens tokens after `parent`.
    std::optional<BlockId> find(Digest parent, std::span<const TokenId> tokens) const;

    /// Of the blocks after `parent` one that begins with the most of `tokens`, and how many.
    struct Partial {
        BlockId block;
        uint32_t tokens;
    };
    std::optional<Partial> find_partial(Digest parent, std::span<const TokenId> tokens) const;

    /// Makes a block findable. False, and nothing done, where another already holds the same.
    bool insert(Digest parent, std::span<const TokenId> tokens, BlockId block);
    void erase(BlockId block);
    bool contains(BlockId block) const { return entries_[block].present; }
    size_t size() const { return order_.size(); }

 private:
    struct Entry {
        bool present = false;
        Digest parent;
        std::array<TokenId, kBlockTokens> tokens;
    };
    struct Key {
        Digest parent;
        std::span<const TokenId> tokens;
    };
    struct Before {
        using is_transparent = void;
        const std::vector<Entry>* entries;
        Key key(BlockId block) const {
            const Entry& entry = (*entries)[block];
            return {entry.parent, entry.tokens};
        }
        static Key key(const Key& key) { return key; }
        bool operator()(const auto& a, const auto& b) const { return less(key(a), key(b)); }
        static bool less(const Key& a, const Key& b);
    };
    std::vector<Entry> entries_;  // by block
    std::set<BlockId, Before> order_{Before{&entries_}};
};

}  // namespace dunlin
