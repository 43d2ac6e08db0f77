#include "base/pages.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/line_vector.h"

namespace dunlin {
namespace {

TEST(Pages, AreZerosThatCanBeWritten) {
    auto pages = map_pages(5'000'000);
    ASSERT_TRUE(pages);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pages->get()) % (size_t{2} << 20), 0U);
    EXPECT_EQ(std::count(pages->get(), pages->get() + 5'000'000, std::byte{0}), 5'000'000);
    std::fill_n(pages->get(), 5'000'000, std::byte{1});
}

TEST(Pages, MoreThanThereIsIsAnError) {
    for (const size_t bytes : {std::numeric_limits<size_t>::max(), size_t{1} << 60}) {
        const auto pages = map_pages(bytes);
        ASSERT_FALSE(pages);
        EXPECT_EQ(pages.error().code, Code::OutOfMemory);
        EXPECT_FALSE(PageArena().take(bytes));
    }
}

TEST(Pages, WhetherThereAreLargeOnesIsTheSystemsSetting) {
    const std::string path = testing::TempDir() + "pages" + std::to_string(getpid());
    for (const auto& [text, expected] : {std::pair("always [madvise] never\n", true),
                                         {"[always] madvise never\n", true},
                                         {"always madvise [never]\n", false},
                                         {"", false}}) {
        std::ofstream(path) << text;
        EXPECT_EQ(has_large_pages(path), expected) << text;
    }
    std::filesystem::remove(path);
    EXPECT_FALSE(has_large_pages(path));
}

TEST(PageArena, PiecesStandSideBySideAndLiveAsLongAsTheirPointers) {
    std::vector<std::shared_ptr<std::byte>> pieces;
    const std::vector<size_t> sizes{1, 64, 65, 0, 300 << 20, 100};  // one is more than a chunk
    {
        PageArena arena;
        for (const size_t size : sizes) {
            auto piece = arena.take(size);
            ASSERT_TRUE(piece);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(piece->get()) % kCacheLineBytes, 0U);
            pieces.push_back(std::move(*piece));
        }
    }
    EXPECT_EQ(pieces[1].get() - pieces[0].get(), 64);
    EXPECT_EQ(pieces[2].get() - pieces[1].get(), 64);
    for (size_t i = 0; i < sizes.size(); ++i) {
        const size_t ends = std::min(sizes[i], size_t{100});
        std::fill_n(pieces[i].get(), ends, static_cast<std::byte>(i + 1));
    }
    for (size_t i = 0; i < sizes.size(); ++i)
        if (sizes[i] > 0) EXPECT_EQ(*pieces[i], static_cast<std::byte>(i + 1));
}

}  // namespace
}  // namespace dunlin
