#include "wire/text_limit.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "wire/openai.h"

namespace dunlin {
namespace {

/// The code points of a text, one by one.
std::vector<std::string> characters_of(std::string_view text) {
    std::vector<std::string> out;
    for (const char c : text) {
        if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) out.emplace_back();
        out.back() += c;
    }
    return out;
}

std::string join(const std::vector<std::string>& parts, size_t from, size_t to) {
    std::string out;
    for (size_t i = from; i < to; ++i) out += parts[i];
    return out;
}

TEST(TextLimit, RefusesWithBothNumbers) {
    uint32_t cut = 0;
    const auto refused = limit_text("12345", {4}, "prompt", cut);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "the text has 5 characters; the limit is 4");
    EXPECT_EQ(refused.error().param, "prompt");
    EXPECT_EQ(cut, 0U);
    EXPECT_EQ(limit_text("12345", {5}, "", cut), "12345");
    EXPECT_EQ(limit_text("12345", {}, "", cut), "12345");
    EXPECT_EQ(limit_text("éé", {2}, "", cut), "éé");
}

TEST(TextLimit, TakesTheMiddleOut) {
    uint32_t cut = 0;
    EXPECT_EQ(limit_text("0123456789", {8, Overlong::Trim}, "", cut), "012 \u2026 89");
    EXPECT_EQ(cut, 5U);
    EXPECT_EQ(limit_text("0123456789", {4, Overlong::Trim}, "", cut), "0189");
    EXPECT_EQ(limit_text("0123456789", {1, Overlong::Trim}, "", cut), "0");
    EXPECT_EQ(cut, 5U + 6U + 9U);
}

TEST(TextLimit, CutsAtCodePointsOnly) {
    constexpr const char* kAlphabet[] = {"a", "é", "\u2026", "\U0001F600", "\n", "中"};
    std::mt19937 draw(7);
    for (int round = 0; round < 20'000; ++round) {
        std::string text;
        const size_t length = draw() % 40;
        for (size_t i = 0; i < length; ++i) text += kAlphabet[draw() % std::size(kAlphabet)];
        const auto most = static_cast<uint32_t>(1 + draw() % 40);
        uint32_t cut = 0;
        const auto out = limit_text(text, {most, Overlong::Trim}, "", cut);
        ASSERT_TRUE(out);
        const auto before = characters_of(text), after = characters_of(*out);
        if (length <= most) {
            EXPECT_EQ(*out, text);
            EXPECT_EQ(cut, 0U);
            continue;
        }
        // As long as allowed, both ends as they were, and the count is what is missing.
        const size_t gap = most < 5 ? 0 : 3;
        const size_t tail = (most - gap) / 2, head = most - gap - tail;
        ASSERT_EQ(after.size(), most);
        EXPECT_EQ(join(after, 0, head), join(before, 0, head));
        EXPECT_EQ(join(after, most - tail, most), join(before, length - tail, length));
        EXPECT_EQ(cut, length - head - tail);
    }
}

TEST(TextLimit, HoldsForEachTextOfARequest) {
    const auto chat = parse_request(
        R"({"messages":[{"role":"system","content":"0123456789"},{"role":"user","content":[)"
        R"({"type":"text","text":"01234567"},{"type":"text","text":"abcdefghi"}]}]})",
        Dialect::Chat, {8, Overlong::Trim});
    ASSERT_TRUE(chat);
    EXPECT_EQ(chat->messages[0].content, "012 \u2026 89");
    EXPECT_EQ(chat->messages[1].content, "01234567abc \u2026 hi");
    EXPECT_EQ(chat->truncated_characters, 5U + 4U);

    const auto texts = parse_request(R"({"prompt":["0123456789","x"]})", Dialect::Completions,
                                     {8, Overlong::Trim});
    ASSERT_TRUE(texts);
    EXPECT_EQ(std::get<std::string>(texts->prompts[0]), "012 \u2026 89");
    EXPECT_EQ(texts->truncated_characters, 5U);

    // Token ids are not characters.
    const auto ids = parse_request(R"({"prompt":[1,2,3,4,5]})", Dialect::Completions, {2});
    ASSERT_TRUE(ids);
    EXPECT_EQ(ids->truncated_characters, 0U);
}

}  // namespace
}  // namespace dunlin
