#include "net/query.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

TEST(Query, IsDecoded) {
    const auto query = Query::parse("/a?x=1&query=%E4%B8%96+a%2Bb%26c&x=2&&flag&=v&y=a=b");
    ASSERT_TRUE(query);
    EXPECT_EQ(*query->find("x"), "1");
    EXPECT_EQ(*query->find("query"), "\u4e16 a+b&c");
    EXPECT_EQ(*query->find("flag"), "");
    EXPECT_EQ(*query->find(""), "v");
    EXPECT_EQ(*query->find("y"), "a=b");
    EXPECT_EQ(query->find("z"), nullptr);
    EXPECT_TRUE(Query::parse("/a"));
    EXPECT_TRUE(Query::parse("/a?"));
}

TEST(Query, BrokenEscapesAndNulsAreRefused) {
    for (const char* bad : {"/?a=%", "/?a=%1", "/?a=%zz", "/?%00=1", "/?a=%00"})
        EXPECT_FALSE(Query::parse(bad)) << bad;
}

}  // namespace
}  // namespace dunlin
