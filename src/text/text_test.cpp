#include <array>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "text/chat_template.h"
#include "text/crate.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace dunlin {
namespace {

/// A byte-level vocabulary: the 256 letters of the alphabet by byte, two merges, two special
/// tokens.
class SmallVocabulary : public testing::Test {
 protected:
    void SetUp() override {
        int hidden = 0;
        for (int byte = 0; byte < 256; ++byte) {
            const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
            const int code = printable ? byte : 256 + hidden++;
            std::string letter;
            if (code < 0x80)
                letter = static_cast<char>(code);
            else
                letter = {static_cast<char>(0xc0 | code >> 6),
                          static_cast<char>(0x80 | (code & 63))};
            pieces_.push_back(letter);
        }
        pieces_.insert(pieces_.end(), {"he", "hel", "<|end|>", "<|begin|>"});
        views_.assign(pieces_.begin(), pieces_.end());
        kinds_.assign(pieces_.size(), 1);
        kinds_[258] = kinds_[259] = 3;
        auto made = tokenizer_from_vocabulary(spec());
        ASSERT_TRUE(made) << made.error().message;
        tokenizer_ = std::move(*made);
    }
    VocabularySpec spec() {
        return {.model = "gpt2",
                .pre = "gpt-2",
                .tokens = views_,
                .kinds = kinds_,
                .scores = {},
                .merges = merges_,
                .bos = 259,
                .eos = 258,
                .add_bos = true};
    }
    std::vector<std::string> pieces_;
    std::vector<std::string_view> views_;
    std::vector<int32_t> kinds_;
    std::array<std::string_view, 2> merges_ = {"h e", "he l"};
    std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(SmallVocabulary, EncodesWithMergesAndSpecialTokens) {
    using Ids = std::vector<TokenId>;
    EXPECT_EQ(*tokenizer_->encode("hello", {}), (Ids{257, 'l', 'o'}));
    EXPECT_EQ(*tokenizer_->encode("he", {.add_special = true}), (Ids{259, 256}));
    EXPECT_EQ(*tokenizer_->encode("a<|end|>", {.parse_special = true}), (Ids{'a', 258}));
    EXPECT_EQ(tokenizer_->encode("a<|end|>", {})->size(), 8U);
    EXPECT_EQ(*tokenizer_->encode("", {}), Ids{});
    EXPECT_EQ(tokenizer_->encode("\xff", {}).error().code, Code::Invalid);
    EXPECT_EQ(tokenizer_->token_id("<|end|>"), 258);
    EXPECT_EQ(tokenizer_->token_id("absent"), -1);
    EXPECT_EQ(tokenizer_->token_kind(258), TokenKind::Control);
    EXPECT_EQ(tokenizer_->token_bytes(258), "");
    EXPECT_EQ(tokenizer_->token_bytes(257), "hel");
    EXPECT_EQ(tokenizer_->token_bytes(0), std::string_view("\0", 1));
    EXPECT_EQ(tokenizer_->eos(), 258);
}

TEST_F(SmallVocabulary, WhatIsEncodedDecodesToItself) {
    const std::string text = "hello, w\xc3\xb6rld \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80\n\t\"'";
    EXPECT_EQ(*tokenizer_->decode(*tokenizer_->encode(text, {})), text);
    EXPECT_FALSE(tokenizer_->decode(std::vector<TokenId>{-1}));
    EXPECT_FALSE(tokenizer_->decode(std::vector<TokenId>{260}));
}

TEST_F(SmallVocabulary, TheStreamNeverBreaksACharacter) {
    // One token a byte, so every character arrives in pieces.
    const std::string text = "a\xc3\xb6\xe4\xbd\xa0\xf0\x9f\x98\x80z";
    StreamDecoder decoder(*tokenizer_);
    std::string all;
    for (const char c : text) {
        const std::string piece = decoder.push(static_cast<unsigned char>(c));
        EXPECT_EQ(piece.find("\xEF\xBF\xBD"), std::string::npos);
        EXPECT_TRUE(tokenizer_->encode(piece, {})) << "a piece that is not UTF-8";
        all += piece;
    }
    EXPECT_EQ(all + decoder.finish(), text);
}

TEST_F(SmallVocabulary, BrokenBytesBecomeReplacementCharacters) {
    const std::string r = "\xEF\xBF\xBD";
    const auto decode = [&](const std::string& bytes) {
        std::vector<TokenId> ids;
        for (const char c : bytes) ids.push_back(static_cast<unsigned char>(c));
        return *tokenizer_->decode(ids);
    };
    EXPECT_EQ(decode("\xff"), r);
    EXPECT_EQ(decode("\xe4\xbd"), r);  // the end is missing
    EXPECT_EQ(decode("\xe4\xbdx"), r + "x");
    EXPECT_EQ(decode("\xc0\x80"), r + r);          // overlong
    EXPECT_EQ(decode("\xed\xa0\x80"), r + r + r);  // a surrogate
    EXPECT_EQ(decode("\xf4\x90\x80\x80"), r + r + r + r);
}

TEST_F(SmallVocabulary, AnUnknownPreTokenizerIsRefusedByName) {
    VocabularySpec unknown = spec();
    unknown.pre = "made-up";
    const auto made = tokenizer_from_vocabulary(unknown);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::Unsupported);
    EXPECT_NE(made.error().message.find("'made-up'"), std::string::npos);
    unknown.model = "rwkv";
    EXPECT_EQ(tokenizer_from_vocabulary(unknown).error().code, Code::Unsupported);
}

Expected<std::string> render(const std::string& source, const std::string& context) {
    auto made = chat_template_from_source(source, "<s>", "</s>");
    if (!made) return std::unexpected(made.error());
    return (*made)->render(context, 1'700'000'000);  // 2023-11-14 22:13:20 UTC
}

TEST(ChatTemplate, RendersAsTransformersDoes) {
    EXPECT_EQ(*render("{{ bos_token }}{% for m in messages %}\n  {%- if m.role == 'user' %}\n"
                      "U:{{ m['content'].strip() }}\n  {%- endif %}\n{% endfor %}{{ eos_token }}",
                      R"({"messages":[{"role":"user","content":" hi "}]})"),
              "<s>U:hi</s>");
    EXPECT_EQ(*render("{{ x | tojson }}", R"({"x":{"b":[1,2.0,true,null],"a":"é\n<"}})"),
              "{\"b\": [1, 2.0, true, null], \"a\": \"é\\n<\"}");
    EXPECT_EQ(*render("{{ x | tojson(ensure_ascii=True, indent=2) }}", R"({"x":{"a":"é"}})"),
              "{\n  \"a\": \"\\u00e9\"\n}");
    EXPECT_EQ(*render("{{ strftime_now('%d %B %Y') }}", "{}"), "14 November 2023");
    EXPECT_EQ(*render("{{ 1 if tools is iterable else 0 }}", R"({"tools":null})"), "0");
    EXPECT_EQ(*render("{{ 1 if tools is iterable else 0 }}", R"({"tools":[]})"), "1");
    EXPECT_EQ(*render("{{ '{\\n\\na\\n' | indent(2, first=true) }}|", "{}"), "  {\n\n  a\n|");
    EXPECT_EQ(*render("{% generation %}x{% endgeneration %}", "{}"), "x");
}

TEST(ChatTemplate, FailsCleanly) {
    const auto raised = render("{{ raise_exception('no system role') }}", "{}");
    ASSERT_FALSE(raised);
    EXPECT_EQ(raised.error().code, Code::Invalid);
    EXPECT_NE(raised.error().message.find("no system role"), std::string::npos);
    EXPECT_EQ(render("{% if %}", "{}").error().code, Code::Invalid);
    EXPECT_EQ(render("{{ ''.__class__.__mro__ }}", "{}").error().code, Code::Invalid);
    EXPECT_EQ(render("x", "not json").error().code, Code::Invalid);
}

TEST(ChatTemplate, BombsRunOutOfFuel) {
    for (const char* bomb :
         {"{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x{% "
          "endfor %}"
          "{% endfor %}{% endfor %}",
          "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
          "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(9999) %}"
          "{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}"})
        EXPECT_FALSE(render(bomb, "{}")) << bomb;
}

TEST(Crate, APanicDoesNotGetOut) {
    CrateBuffer error;
    EXPECT_EQ(dt_test_panic(&error.raw), DT_INTERNAL);
    EXPECT_NE(error.text().find("planted"), std::string::npos);
}

}  // namespace
}  // namespace dunlin
