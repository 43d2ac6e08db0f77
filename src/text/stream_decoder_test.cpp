#include "text/stream_decoder.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace dunlin {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Tokens of any bytes.
class Pieces final : public Tokenizer {
 public:
    explicit Pieces(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
    uint32_t size() const override { return static_cast<uint32_t>(pieces_.size()); }
    TokenId bos() const override { return -1; }
    TokenId eos() const override { return -1; }
    Expected<std::vector<TokenId>> encode(std::string_view, EncodeOptions) const override {
        return std::vector<TokenId>{};
    }
    Expected<std::string> decode(std::span<const TokenId>) const override { return std::string(); }
    std::string_view token_bytes(TokenId id) const override {
        return pieces_[static_cast<size_t>(id)];
    }
    TokenKind token_kind(TokenId) const override { return TokenKind::Normal; }
    TokenId token_id(std::string_view) const override { return -1; }

 private:
    std::vector<std::string> pieces_;
};

/// Bytes at the front of `text` that are one whole character of UTF-8; 0 for none. Written from the
/// table of RFC 3629, apart from the decoder's own.
size_t character(std::string_view text) {
    const auto at = [&](size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto tail = [&](size_t i) { return (at(i) & 0xc0U) == 0x80U; };
    uint32_t code = 0;
    if (at(0) < 0x80) return 1;
    if ((at(0) & 0xe0U) == 0xc0U && tail(1)) {
        code = (at(0) & 0x1fU) << 6 | (at(1) & 0x3fU);
        return code >= 0x80 ? 2 : 0;
    }
    if ((at(0) & 0xf0U) == 0xe0U && tail(1) && tail(2)) {
        code = (at(0) & 0x0fU) << 12 | (at(1) & 0x3fU) << 6 | (at(2) & 0x3fU);
        return code >= 0x800 && (code < 0xd800 || code > 0xdfff) ? 3 : 0;
    }
    if ((at(0) & 0xf8U) == 0xf0U && tail(1) && tail(2) && tail(3)) {
        code =
            (at(0) & 0x07U) << 18 | (at(1) & 0x3fU) << 12 | (at(2) & 0x3fU) << 6 | (at(3) & 0x3fU);
        return code >= 0x10000 && code <= 0x10ffff ? 4 : 0;
    }
    return 0;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const size_t length = character(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

/// What comes out for these tokens; every delta is checked on the way.
std::string streamed(const std::vector<std::string>& tokens, bool is_valid) {
    const Pieces pieces(tokens);
    StreamDecoder decoder(pieces);
    std::string out;
    size_t pushed = 0;
    for (size_t id = 0; id < tokens.size(); ++id) {
        const std::string delta = decoder.push(static_cast<TokenId>(id));
        EXPECT_TRUE(is_utf8(delta));
        out += delta;
        pushed += tokens[id].size();
        if (is_valid) EXPECT_LE(pushed - out.size(), 3U);
    }
    const std::string rest = decoder.finish();
    EXPECT_TRUE(rest.empty() || rest == kReplacement);
    if (is_valid) EXPECT_EQ(rest, "");
    return out + rest;
}

/// Every way to cut the bytes into three tokens, and one token a byte.
void expect_equal_at_every_cut(const std::string& bytes, const std::string& whole) {
    const bool is_valid = is_utf8(bytes);
    for (size_t i = 0; i <= bytes.size(); ++i)
        for (size_t j = i; j <= bytes.size(); ++j)
            ASSERT_EQ(
                streamed({bytes.substr(0, i), bytes.substr(i, j - i), bytes.substr(j)}, is_valid),
                whole)
                << i << ", " << j;
    std::vector<std::string> single;
    for (const char c : bytes) single.emplace_back(1, c);
    EXPECT_EQ(streamed(single, is_valid), whole);
}

TEST(StreamDecoder, WholeCharactersAtEveryCut) {
    for (const std::string text :
         {"a\u00f6\u4f60\U0001F600z",
          // a family and a flag: characters joined by U+200D and by pairs
          "\U0001F469\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466\U0001F1E9\U0001F1EA\U0001F44D"
          "\U0001F3FD",
          "e\u0301\u0302\u0303\u0304\u0305\u0306\u0307 \u0939\u093f\u0928\u094d\u0926\u0940",
          // the first and last character of each length, and around the surrogates
          "\x7f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff\ufeff\ufffd"})
        expect_equal_at_every_cut(text, text);
    const std::string with_nul("a\0b\u00e9\0", 6);
    expect_equal_at_every_cut(with_nul, with_nul);
}

TEST(StreamDecoder, BrokenBytesAtEveryCut) {
    const std::string r(kReplacement);
    // As Python's bytes.decode("utf-8", "replace") gives it.
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"\x80", r},
        {"a\xbf\x80z", "a" + r + r + "z"},
        {"\xc0\xaf", r + r},
        {"\xe0\x80\xaf", r + r + r},
        {"\xf0\x80\x80\xaf", r + r + r + r},
        {"\xed\xa0\x80\xed\xbf\xbf", r + r + r + r + r + r},
        {"\xf4\x90\x80\x80", r + r + r + r},
        {"\xf8\x88\x80\x80\x80\xfe\xff", r + r + r + r + r + r + r},
        {"\xe4\xbd", r},
        {"\xe4\xbd\xe4\xbd\xa0", r + "\u4f60"},
        {"\xf0\x9f\x98x\xf0\x9f\x98", r + "x" + r},
        {"\xc3\xc3\xb6", r + "\u00f6"},
        {"\xf0\x9f\xf0\x9f\x98\x80\x80", r + "\U0001F600" + r},
    };
    for (const auto& [bytes, whole] : cases) expect_equal_at_every_cut(bytes, whole);
}

}  // namespace
}  // namespace dunlin
