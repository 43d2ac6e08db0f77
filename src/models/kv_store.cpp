#include <cstring>

#include <sys/mman.h>

#include "base/check.h"
#include "base/checked.h"
#include "models/forward.h"

namespace dunlin {

void KvStore::Unmap::operator()(std::byte* p) const {
    munmap(p, bytes);
}

Expected<KvStore> KvStore::allocate(const Dimensions& dimensions) {
    KvStore store;
    store.dimensions_ = dimensions;
    store.layout_ = {dimensions.type, dimensions.head_dim};
    static_assert(kKvBlockTokens == kBlockTokens);
    auto bytes = checked_mul<uint64_t>(store.layout_.block_bytes(), dimensions.blocks);
    if (bytes)
        bytes = checked_mul<uint64_t>(*bytes, uint64_t{dimensions.layers} * dimensions.heads);
    if (!bytes) return fail(Code::OutOfMemory, "the KV cache is larger than memory can be");
    // Pages come from the system when a block is first written, so an idle server stays small.
    void* data = mmap(nullptr, *bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
        return fail(Code::OutOfMemory,
                    "no memory for a KV cache of " + std::to_string(*bytes) + " bytes");
    store.data_ = {static_cast<std::byte*>(data), Unmap{*bytes}};
    return store;
}

std::byte* KvStore::block(uint32_t layer, uint32_t head, BlockId block) {
    DCHECK(layer < dimensions_.layers && head < dimensions_.heads && block < dimensions_.blocks);
    const uint64_t index =
        (uint64_t{layer} * dimensions_.blocks + block) * dimensions_.heads + head;
    return data_.get() + index * layout_.block_bytes();
}

KvHead KvStore::head(uint32_t layer, uint32_t head, std::span<const BlockId> blocks) const {
    const uint64_t index = uint64_t{layer} * dimensions_.blocks * dimensions_.heads + head;
    return {.layout = layout_,
            .base = data_.get() + index * layout_.block_bytes(),
            .block_stride = dimensions_.heads * layout_.block_bytes(),
            .blocks = blocks.data()};
}

void KvStore::copy(BlockId from, BlockId to) {
    for (uint32_t layer = 0; layer < dimensions_.layers; ++layer)
        std::memcpy(block(layer, 0, to), block(layer, 0, from),
                    dimensions_.heads * layout_.block_bytes());
}

}  // namespace dunlin
