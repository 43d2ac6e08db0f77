#include "kv/prefix_index.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/mix.h"

namespace dunlin {
namespace {

Digest absorb(Digest state, uint64_t value) {
    return {mix(state.hi + value + 0x9e3779b97f4a7c15ULL), mix(state.lo ^ mix(value + state.hi))};
}

}  // namespace

Digest PrefixIndex::root(Digest domain) {
    return absorb(absorb({0x64756e6c696eULL, 0x6b76ULL}, domain.hi), domain.lo);
}

Digest PrefixIndex::extend(Digest parent, std::span<const TokenId> tokens) {
    for (const TokenId token : tokens) parent = absorb(parent, static_cast<uint32_t>(token));
    return parent;
}

bool PrefixIndex::Before::less(const Key& a, const Key& b) {
    if (a.parent.hi != b.parent.hi) return a.parent.hi < b.parent.hi;
    if (a.parent.lo != b.parent.lo) return a.parent.lo < b.parent.lo;
    return std::lexicographical_compare(a.tokens.begin(), a.tokens.end(), b.tokens.begin(),
                                        b.tokens.end());
}

std::optional<BlockId> PrefixIndex::find(Digest parent, std::span<const TokenId> tokens) const {
    const auto at = order_.find(Key{parent, tokens});
    return at == order_.end() ? std::nullopt : std::optional(*at);
}

std::optional<PrefixIndex::Partial> PrefixIndex::find_partial(
    Digest parent, std::span<const TokenId> tokens) const {
    std::optional<Partial> best;
    const auto look = [&](BlockId block) {
        const Entry& entry = entries_[block];
        if (entry.parent != parent) return;
        const auto same = static_cast<uint32_t>(
            std::mismatch(entry.tokens.begin(), entry.tokens.end(), tokens.begin(), tokens.end())
                .first -
            entry.tokens.begin());
        if (same > 0 && (!best || same > best->tokens)) best = Partial{block, same};
    };
    const auto at = order_.lower_bound(Key{parent, tokens});
    if (at != order_.end()) look(*at);
    if (at != order_.begin()) look(*std::prev(at));
    return best;
}

bool PrefixIndex::insert(Digest parent, std::span<const TokenId> tokens, BlockId block) {
    CHECK(tokens.size() == kBlockTokens && !entries_[block].present);
    Entry& entry = entries_[block];
    entry.parent = parent;
    std::copy(tokens.begin(), tokens.end(), entry.tokens.begin());
    entry.present = order_.insert(block).second;
    return entry.present;
}

void PrefixIndex::erase(BlockId block) {
    CHECK(entries_[block].present);
    order_.erase(block);
    entries_[block].present = false;
}

}  // namespace dunlin
