// Long texts of one kind of character: the time grows with the length, the stack does not, and no
// thread is started.

#include <algorithm>
#include <array>
#include <fstream>
#include <string>
#include <vector>

#include <pthread.h>
#include <time.h>

#include "gtest/gtest.h"
#include "text/tokenizer.h"

namespace dunlin {
namespace {

constexpr size_t kStackBytes = 256 << 10;

double thread_cpu_ms() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

int threads() {
    std::ifstream file("/proc/self/status");
    for (std::string word; file >> word;) {
        int count = 0;
        if (word == "Threads:" && file >> count) return count;
    }
    return 0;
}

/// The letters of the byte-level alphabet, or the byte pieces of SentencePiece, and some merges.
std::unique_ptr<Tokenizer> make(const std::string& model, const std::string& pre) {
    std::vector<std::string> pieces;
    std::vector<int32_t> kinds;
    const auto add = [&](std::string piece, int32_t kind) {
        pieces.push_back(std::move(piece));
        kinds.push_back(kind);
    };
    if (model == "llama") {
        add("<unk>", 2);
        constexpr std::string_view kDigits = "0123456789ABCDEF";
        for (size_t byte = 0; byte < 256; ++byte)
            add({'<', '0', 'x', kDigits[byte / 16], kDigits[byte % 16], '>'}, 6);
        for (const char* piece : {"a", "aa", "aaaa", "\u2581", "\u2581\u2581", "1", "\u4f60"})
            add(piece, 1);
    } else {
        int hidden = 0;
        for (int byte = 0; byte < 256; ++byte) {
            const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
            const int code = printable ? byte : 256 + hidden++;
            add(code < 0x80 ? std::string(1, static_cast<char>(code))
                            : std::string{static_cast<char>(0xc0 | code >> 6),
                                          static_cast<char>(0x80 | (code & 63))},
                1);
        }
        for (const char* piece : {"aa", "aaaa", "\u0120\u0120"}) add(piece, 1);
    }
    const std::vector<float> scores(pieces.size(), -1.0F);
    const std::vector<std::string_view> views(pieces.begin(), pieces.end());
    const std::array<std::string_view, 3> merges = {"a a", "aa aa", "\u0120 \u0120"};
    auto made = tokenizer_from_vocabulary({.model = model,
                                           .pre = pre,
                                           .tokens = views,
                                           .kinds = kinds,
                                           .scores = scores,
                                           .merges = merges,
                                           .unk = model == "llama" ? 0 : -1});
    EXPECT_TRUE(made) << made.error().message;
    return made ? std::move(*made) : nullptr;
}

struct Work {
    const Tokenizer* tokenizer;
    std::string text;
    double ms = 0;
    size_t ids = 0;
};

void* encode(void* argument) {
    auto& work = *static_cast<Work*>(argument);
    const double start = thread_cpu_ms();
    const auto ids = work.tokenizer->encode(work.text, {.parse_special = true});
    work.ms = thread_cpu_ms() - start;
    if (ids) work.ids = ids->size();
    return nullptr;
}

/// Milliseconds of the processor, on a small stack: the better of two.
double cost_ms(const Tokenizer& tokenizer, const std::string& text) {
    double best = 1e9;
    for (int i = 0; i < 2; ++i) {
        Work work{&tokenizer, text};
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, kStackBytes);
        pthread_t thread{};
        EXPECT_EQ(pthread_create(&thread, &attributes, encode, &work), 0);
        pthread_join(thread, nullptr);
        pthread_attr_destroy(&attributes);
        EXPECT_GT(work.ids, 0U);
        best = std::min(best, work.ms);
    }
    return best;
}

std::string filled(std::string_view unit, size_t bytes, std::string_view end) {
    std::string out;
    while (out.size() < bytes) out += unit;
    return out + std::string(end);
}

class Linear : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(Linear, InEveryKindOfCharacter) {
    const auto [model, pre] = GetParam();
    const auto tokenizer = make(model, pre);
    ASSERT_TRUE(tokenizer);
    using namespace std::string_view_literals;
    // The last ones: a run that ends with something else, which a pattern may look for in vain.
    using Text = std::pair<std::string_view, std::string_view>;
    constexpr std::array<Text, 12> kTexts = {
        Text{"a"sv, ""sv},      Text{"1"sv, ""sv},       Text{" "sv, ""sv},
        Text{"\n"sv, ""sv},     Text{"\u4f60"sv, ""sv},  Text{"\U0001F600"sv, ""sv},
        Text{"\u0301"sv, ""sv}, Text{"\0"sv, ""sv},      Text{"'"sv, ""sv},
        Text{" "sv, "1"sv},     Text{" "sv, "\u0301"sv}, Text{"\n "sv, "a"sv}};
    for (const auto& [unit, end] : kTexts) {
        constexpr size_t kBytes = 4 << 10;
        double ratio = 1e9;
        // Linear is 8, quadratic 64. A busy machine may spoil a measurement, not three.
        for (int attempt = 0; attempt < 3 && ratio > 8 * 2; ++attempt)
            ratio = cost_ms(*tokenizer, filled(unit, 8 * kBytes, end)) /
                    std::max(0.05, cost_ms(*tokenizer, filled(unit, kBytes, end)));
        EXPECT_LE(ratio, 8 * 2) << pre << " on " << unit << end;
    }
}

INSTANTIATE_TEST_SUITE_P(TokenizerBounds, Linear,
                         testing::Values(std::pair{"gpt2", "gpt-2"}, std::pair{"gpt2", "smollm"},
                                         std::pair{"gpt2", "llama-bpe"}, std::pair{"gpt2", "qwen2"},
                                         std::pair{"gpt2", "qwen35"}, std::pair{"gpt2", "falcon"},
                                         std::pair{"gpt2", "deepseek-coder"},
                                         std::pair{"gpt2", "deepseek-llm"},
                                         std::pair{"llama", "default"}));

TEST(TokenizerBounds, AMillionBytesAndNoThread) {
    const int before = threads();
    const auto tokenizer = make("gpt2", "llama-bpe");
    for (const std::string_view unit : {"a", " ", "\u4f60", "word 12 "})
        EXPECT_LT(cost_ms(*tokenizer, filled(unit, 1 << 20, "")), 5000) << unit;
    EXPECT_EQ(threads(), before);
}

TEST(TokenizerBounds, ATextOfMoreThanFourMebibytesIsRefused) {
    const auto tokenizer = make("gpt2", "llama-bpe");
    const auto refused = tokenizer->encode(std::string((4 << 20) + 1, 'a'), {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::TooLarge);
    EXPECT_NE(refused.error().message.find("4 MiB"), std::string::npos);
}

TEST(TokenizerBounds, IdsOutOfRangeAreRefused) {
    const auto tokenizer = make("gpt2", "gpt-2");
    const auto size = static_cast<TokenId>(tokenizer->size());
    for (const TokenId id : {-1, size, INT32_MAX, INT32_MIN}) {
        const auto text = tokenizer->decode(std::vector<TokenId>{id});
        ASSERT_FALSE(text);
        EXPECT_EQ(text.error().code, Code::Invalid);
        EXPECT_TRUE(tokenizer->token_bytes(id).empty());
    }
}

}  // namespace
}  // namespace dunlin
