#include "kv/block_pool.h"

#include "base/check.h"

namespace dunlin {

BlockPool::BlockPool(uint32_t blocks) : blocks_(blocks) {
    for (const bool cached : {false, true})
        at(head(cached)).previous = at(head(cached)).next = head(cached);
    for (BlockId block = 0; block < blocks; ++block) link(block);
}

void BlockPool::link(BlockId block) {
    const uint32_t list = head(blocks_[block].cached);
    const uint32_t last = at(list).previous;
    blocks_[block].previous = last;
    blocks_[block].next = list;
    at(last).next = block;
    at(list).previous = block;
    ++free_;
    if (blocks_[block].cached) ++cached_;
}

void BlockPool::unlink(BlockId block) {
    at(blocks_[block].previous).next = blocks_[block].next;
    at(blocks_[block].next).previous = blocks_[block].previous;
    --free_;
    if (blocks_[block].cached) --cached_;
}

BlockPool::Taken BlockPool::take() {
    CHECK(free_ > 0);
    const bool none_empty = at(head(false)).next == head(false);
    const BlockId block = at(head(none_empty)).next;
    unlink(block);
    blocks_[block].references = 1;
    blocks_[block].cached = false;
    return {block, none_empty};
}

void BlockPool::retain(BlockId block) {
    if (blocks_[block].references++ == 0) unlink(block);
}

void BlockPool::release(BlockId block) {
    CHECK(blocks_[block].references > 0);
    if (--blocks_[block].references == 0) link(block);
}

void BlockPool::set_cached(BlockId block, bool cached) {
    const bool is_free = blocks_[block].references == 0;
    if (is_free) unlink(block);
    blocks_[block].cached = cached;
    if (is_free) link(block);
}

void BlockPool::check_integrity() const {
    uint32_t found[2] = {0, 0};
    for (const bool cached : {false, true}) {
        for (uint32_t i = at(head(cached)).next; i != head(cached); i = at(i).next) {
            CHECK(at(i).references == 0 && at(i).cached == cached);
            CHECK(at(at(i).next).previous == i);
            ++found[cached ? 1 : 0];
        }
    }
    CHECK(found[1] == cached_ && found[0] + found[1] == free_);
    uint32_t unused = 0;
    for (const Block& block : blocks_) unused += block.references == 0 ? 1 : 0;
    CHECK(unused == free_);
}

}  // namespace dunlin
