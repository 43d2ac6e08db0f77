#include <map>

#include <gtest/gtest.h>

#include "models/forward.h"

namespace dunlin {
namespace {

// With heads so small that blocks stand in groups, and so large that each is a group of its own.
TEST(KvStore, EveryBlockHasAPlaceOfItsOwnAndHeadsFindIt) {
    for (const uint32_t head_dim : {16U, 512U}) {
        const KvStore::Dimensions size{.layers = 3, .heads = 2, .head_dim = head_dim, .blocks = 37};
        auto store = KvStore::allocate(size);
        ASSERT_TRUE(store);
        std::map<const std::byte*, int> places;
        std::vector<BlockId> ids(size.blocks);
        for (BlockId id = 0; id < size.blocks; ++id) ids[id] = size.blocks - 1 - id;
        for (uint32_t layer = 0; layer < size.layers; ++layer)
            for (uint32_t head = 0; head < size.heads; ++head)
                for (uint32_t i = 0; i < size.blocks; ++i) {
                    std::byte* place = store->block(layer, head, ids[i]);
                    EXPECT_EQ(store->head(layer, head, ids).block(i), place);
                    place[0] = place[store->layout().block_bytes() - 1] = std::byte{1};
                    ++places[place];
                }
        EXPECT_EQ(places.size(), size_t{size.layers} * size.heads * size.blocks);
        const std::byte* end = nullptr;
        for (const auto& [place, times] : places) {
            EXPECT_GE(place, end);
            end = place + store->layout().block_bytes();
        }
    }
}

TEST(KvStore, ABlockIsCopiedInEveryLayerAndHead) {
    const KvStore::Dimensions size{.layers = 2, .heads = 3, .head_dim = 8, .blocks = 9};
    auto store = KvStore::allocate(size);
    ASSERT_TRUE(store);
    const size_t last = store->layout().block_bytes() - 1;
    for (uint32_t layer = 0; layer < size.layers; ++layer)
        for (uint32_t head = 0; head < size.heads; ++head)
            store->block(layer, head, 2)[last] = static_cast<std::byte>(layer * 8 + head + 1);
    store->copy(2, 8);
    for (uint32_t layer = 0; layer < size.layers; ++layer)
        for (uint32_t head = 0; head < size.heads; ++head)
            EXPECT_EQ(store->block(layer, head, 8)[last],
                      static_cast<std::byte>(layer * 8 + head + 1));
}

TEST(KvStore, MoreThanMemoryCanBeIsAnError) {
    for (const uint32_t layers : {UINT32_MAX, 1U << 20U})
        EXPECT_FALSE(KvStore::allocate(
            {.layers = layers, .heads = 1U << 20U, .head_dim = 1U << 16U, .blocks = UINT32_MAX}));
}

}  // namespace
}  // namespace dunlin
