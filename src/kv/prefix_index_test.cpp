// The index against a plain scan of everything in it, on tokens of a small alphabet so that blocks
// share beginnings of every length; and its speed where very many blocks follow one prefix.

#include "kv/prefix_index.h"

#include <array>
#include <chrono>
#include <map>
#include <random>

#include "gtest/gtest.h"

namespace dunlin {
namespace {

using Block = std::array<TokenId, kBlockTokens>;

/// What the index promises, in the most obvious way.
struct Scan {
    std::map<BlockId, std::pair<uint64_t, Block>> held;

    uint32_t longest(uint64_t parent, std::span<const TokenId> tokens) const {
        uint32_t best = 0;
        for (const auto& [block, entry] : held) {
            if (entry.first == parent) best = std::max(best, same(entry.second, tokens));
        }
        return best;
    }
    static uint32_t same(const Block& held, std::span<const TokenId> tokens) {
        uint32_t n = 0;
        while (n < held.size() && n < tokens.size() && held[n] == tokens[n]) ++n;
        return n;
    }
};

TEST(PrefixIndex, FindsWhatAScanFinds) {
    std::mt19937 random(3);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    constexpr uint32_t kBlocks = 200;
    PrefixIndex index(kBlocks);
    Scan scan;
    Block last{};
    for (int step = 0; step < 20000; ++step) {
        const uint64_t parent = below(3);
        const Digest digest{parent / 2, parent % 2};
        Block tokens = last;  // often a variation of what was there before
        for (size_t i = below(17); i < tokens.size(); ++i)
            tokens[i] = static_cast<TokenId>(below(3));
        if (below(4) == 0) last = tokens;
        const BlockId block = below(kBlocks);
        if (index.contains(block)) {
            index.erase(block);
            scan.held.erase(block);
        } else {
            const bool is_new = scan.longest(parent, tokens) < kBlockTokens;
            ASSERT_EQ(index.insert(digest, tokens, block), is_new);
            if (is_new) scan.held[block] = {parent, tokens};
        }
        ASSERT_EQ(index.size(), scan.held.size());

        Block wanted = last;
        for (size_t i = below(17); i < wanted.size(); ++i)
            wanted[i] = static_cast<TokenId>(below(3));
        const auto whole = index.find(digest, wanted);
        ASSERT_EQ(whole.has_value(), scan.longest(parent, wanted) == kBlockTokens);
        if (whole) ASSERT_EQ(scan.held.at(*whole), std::pair(parent, wanted));
        const auto some = std::span(wanted).first(1 + below(kBlockTokens));
        const auto partial = index.find_partial(digest, some);
        ASSERT_EQ(partial ? partial->tokens : 0, scan.longest(parent, some));
        if (partial) {
            ASSERT_EQ(scan.held.at(partial->block).first, parent);
            ASSERT_EQ(Scan::same(scan.held.at(partial->block).second, some), partial->tokens);
        }
    }
}

TEST(PrefixIndex, ManyDistinctPromptsDoNotSlowItDown) {
    constexpr uint32_t kPrompts = 100'000;
    PrefixIndex index(kPrompts);
    const Digest root = PrefixIndex::root({1, 2});
    const auto tokens_of = [](uint32_t prompt) {
        Block tokens{};  // they differ at the end only
        for (size_t i = 0; i < 5; ++i)
            tokens[kBlockTokens - 1 - i] = static_cast<TokenId>(prompt >> 4 * i & 15);
        return tokens;
    };
    const auto begin = std::chrono::steady_clock::now();
    for (uint32_t i = 0; i < kPrompts; ++i) ASSERT_TRUE(index.insert(root, tokens_of(i), i));
    for (uint32_t i = 0; i < kPrompts; ++i) ASSERT_EQ(index.find(root, tokens_of(i)), i);
    Block other = tokens_of(0);
    other[kBlockTokens - 1] = 99;
    for (uint32_t i = 0; i < kPrompts; ++i)
        ASSERT_EQ(index.find_partial(root, other)->tokens, kBlockTokens - 1);
    // A tenth of a second on an idle machine; a scan would take minutes.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(PrefixIndex, ChainsKeepDomainsAndOrderApart) {
    const std::array<TokenId, 2> ab = {1, 2}, ba = {2, 1};
    const Digest one = PrefixIndex::root({1, 0}), two = PrefixIndex::root({0, 1});
    EXPECT_NE(one, two);
    EXPECT_NE(PrefixIndex::extend(one, ab), PrefixIndex::extend(one, ba));
    EXPECT_NE(PrefixIndex::extend(one, ab), PrefixIndex::extend(two, ab));
}

}  // namespace
}  // namespace dunlin
