#include "sessions/plain_text.h"

#include <gtest/gtest.h>

#include "sessions/text_match.h"

namespace dunlin {
namespace {

TEST(PlainText, KnowsUtf8) {
    EXPECT_TRUE(is_utf8(""));
    EXPECT_TRUE(is_utf8("a\u00e4\u4e16\U0001F600"));
    for (const char* bad : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xb8",
                            "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "a\x80"})
        EXPECT_FALSE(is_utf8(bad));
}

TEST(PlainText, MakesOneLine) {
    EXPECT_EQ(one_line("  a \n\tb\r\n\u3000c\x7f "), "a b c");
    EXPECT_EQ(one_line(" \n"), "");
}

TEST(PlainText, TitlesAreShortAndCutBetweenCharacters) {
    EXPECT_EQ(title_from("What is\ngravity?"), "What is gravity?");
    const std::string sixty(60, 'x');
    EXPECT_EQ(title_from(sixty), sixty);
    EXPECT_EQ(title_from(sixty + "y"), std::string(57, 'x') + "...");
    EXPECT_EQ(title_from(std::string(40, 'x') + " " + sixty), std::string(40, 'x') + "...");
    std::string chinese, cut;
    for (int i = 0; i < 61; ++i) chinese += "\u4e16";
    for (int i = 0; i < 57; ++i) cut += "\u4e16";
    EXPECT_EQ(title_from(chinese), cut + "...");
    for (size_t spaces = 4090; spaces < 4097; ++spaces)
        EXPECT_TRUE(is_utf8(title_from(std::string(spaces, ' ') + "\U0001F600")));
}

TEST(TextMatch, ComparesCharactersInLowerCase) {
    EXPECT_TRUE(TextMatch("").in(""));
    EXPECT_TRUE(TextMatch("aab").in("aaab"));
    EXPECT_TRUE(TextMatch("ΣΊΓΜΑ").in("x σίγμα"));
    EXPECT_FALSE(TextMatch("ab").in("a"));
    EXPECT_FALSE(TextMatch("\xbc").in("\u00fc")) << "half a character";
    EXPECT_TRUE(TextMatch("\xff").in("a\xff"));
}

}  // namespace
}  // namespace dunlin
