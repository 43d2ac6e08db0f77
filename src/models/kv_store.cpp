#include <cstring>

#include <sys/mman.h>

#include "base/check.h"
#include "base/checked.h"
#include "models/forward.h"

namespace dunlin {

void KvStore::Unmap::operator()(uint16_t* p) const {
    munmap(p, bytes);
}

uint64_t KvStore::halves() const {
    return uint64_t{dimensions_.layers} * dimensions_.blocks * dimensions_.heads * block_halves_;
}

Expected<KvStore> KvStore::allocate(const Dimensions& dimensions) {
    KvStore store;
    store.dimensions_ = dimensions;
    const size_t padded = round_up<size_t>(dimensions.head_dim, 16);
    store.block_halves_ = kBlockTokens * (dimensions.head_dim + padded);
    auto bytes = checked_mul<uint64_t>(store.block_halves_ * 2, dimensions.blocks);
    if (bytes)
        bytes = checked_mul<uint64_t>(*bytes, uint64_t{dimensions.layers} * dimensions.heads);
    if (!bytes) return fail(Code::OutOfMemory, "the KV cache is larger than memory can be");
    // Pages come from the system when a block is first written, so an idle server stays small.
    void* data = mmap(nullptr, *bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
        return fail(Code::OutOfMemory,
                    "no memory for a KV cache of " + std::to_string(*bytes) + " bytes");
    store.data_ = {static_cast<uint16_t*>(data), Unmap{*bytes}};
    return store;
}

uint16_t* KvStore::block(uint32_t layer, uint32_t head, BlockId block) {
    DCHECK(layer < dimensions_.layers && head < dimensions_.heads && block < dimensions_.blocks);
    const uint64_t index =
        (uint64_t{layer} * dimensions_.blocks + block) * dimensions_.heads + head;
    return data_.get() + index * block_halves_;
}

KvHead KvStore::head(uint32_t layer, uint32_t head, std::span<const BlockId> blocks) const {
    const uint64_t index = uint64_t{layer} * dimensions_.blocks * dimensions_.heads + head;
    return {.base = data_.get() + index * block_halves_,
            .block_stride = dimensions_.heads * block_halves_,
            .blocks = blocks.data(),
            .head_dim = dimensions_.head_dim};
}

void KvStore::copy(BlockId from, BlockId to) {
    for (uint32_t layer = 0; layer < dimensions_.layers; ++layer)
        std::memcpy(block(layer, 0, to), block(layer, 0, from),
                    dimensions_.heads * block_halves_ * sizeof(uint16_t));
}

}  // namespace dunlin
