#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "models/forward.h"

namespace dunlin {

/// What is read in one go in a layer, at least, where that many blocks follow each other.
constexpr size_t kRunBytes = size_t{64} << 10;

Expected<KvStore> KvStore::allocate(const Dimensions& dimensions) {
    KvStore store;
    store.dimensions_ = dimensions;
    store.layout_ = {dimensions.type, dimensions.head_dim};
    static_assert(kKvBlockTokens == kBlockTokens);
    const auto too_large = [] {
        return fail(Code::OutOfMemory, "the KV cache is larger than memory can be");
    };
    const auto block = checked_mul<uint64_t>(store.layout_.block_bytes(), dimensions.heads);
    if (!block || *block == 0) return too_large();
    const uint64_t group_blocks = std::bit_ceil((kRunBytes + *block - 1) / *block);
    store.strides_.block = *block;
    store.strides_.group_shift = static_cast<uint32_t>(std::countr_zero(group_blocks));
    const auto group = checked_mul<uint64_t>(*block * group_blocks, dimensions.layers);
    if (!group) return too_large();
    store.strides_.group = *group;
    const uint64_t groups = (dimensions.blocks + group_blocks - 1) / group_blocks;
    const auto bytes = checked_mul<uint64_t>(*group, groups);
    if (!bytes) return too_large();
    // Pages come from the system when a block is first written, so an idle server stays small.
    auto data = map_pages(*bytes);
    if (!data)
        return fail(Code::OutOfMemory,
                    "no memory for a KV cache of " + std::to_string(*bytes) + " bytes");
    store.data_ = std::move(*data);
    return store;
}

size_t KvStore::layer_at(uint32_t layer) const {
    return (size_t{layer} * strides_.block) << strides_.group_shift;
}

std::byte* KvStore::block(uint32_t layer, uint32_t head, BlockId block) {
    DCHECK(layer < dimensions_.layers && head < dimensions_.heads && block < dimensions_.blocks);
    return data_.get() + layer_at(layer) + strides_.at(block) + head * layout_.block_bytes();
}

KvHead KvStore::head(uint32_t layer, uint32_t head, std::span<const BlockId> blocks) const {
    return {.layout = layout_,
            .base = data_.get() + layer_at(layer) + head * layout_.block_bytes(),
            .strides = strides_,
            .blocks = blocks.data()};
}

void KvStore::copy(BlockId from, BlockId to) {
    for (uint32_t layer = 0; layer < dimensions_.layers; ++layer)
        std::memcpy(block(layer, 0, to), block(layer, 0, from), strides_.block);
}

}  // namespace dunlin
