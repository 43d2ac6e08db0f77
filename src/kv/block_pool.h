#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "kv/paged_sequences.h"

namespace dunlin {

/// Counts who uses which block. A block is in use (references > 0), free and empty, or free and
/// cached: it still holds tokens that the index can find, until it is taken for something else.
/// Free blocks are taken empty ones first, then the cached one that became free first.
/// Deterministic, every call in constant time. Not thread-safe.
class BlockPool {
 public:
    explicit BlockPool(uint32_t blocks);

    uint32_t total() const { return static_cast<uint32_t>(blocks_.size()); }
    uint32_t free() const { return free_; }
    uint32_t cached() const { return cached_; }
    uint32_t references(BlockId block) const { return blocks_[block].references; }
    bool is_cached(BlockId block) const { return blocks_[block].cached; }

    /// A block with one reference. If it was cached it no longer is: the caller must have the index
    /// forget it (`was_cached`). REQUIRES: free() > 0.
    struct Taken {
        BlockId block;
        bool was_cached;
    };
    Taken take();

    /// One more reference; a free cached block comes back to life.
    void retain(BlockId block);
    /// One reference less; the last one makes it free, cached if the index holds it.
    void release(BlockId block);
    /// Whether the index can find the block's tokens.
    void set_cached(BlockId block, bool cached);

    /// CHECKs that lists and counts agree.
    void check_integrity() const;

 private:
    struct Block {
        uint32_t references = 0;
        bool cached = false;
        uint32_t previous = 0, next = 0;  // in its free list
    };
    // Two circular lists with their heads behind the blocks: free and empty, free and cached.
    uint32_t head(bool cached) const { return total() + (cached ? 1U : 0U); }
    Block& at(uint32_t index) { return index < total() ? blocks_[index] : heads_[index - total()]; }
    const Block& at(uint32_t index) const {
        return index < total() ? blocks_[index] : heads_[index - total()];
    }
    void link(BlockId block);
    void unlink(BlockId block);

    std::vector<Block> blocks_;
    Block heads_[2];
    uint32_t free_ = 0, cached_ = 0;  // cached: among the free ones
};

}  // namespace dunlin
