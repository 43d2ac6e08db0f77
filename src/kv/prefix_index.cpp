#include "kv/prefix_index.h"

#include <algorithm>

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

std::optional<BlockId> PrefixIndex::find(Digest parent, std::span<const TokenId> tokens) const {
    const auto partial = find_partial(parent, tokens);
    if (!partial || partial->tokens != kBlockTokens) return std::nullopt;
    return partial->block;
}

std::optional<PrefixIndex::Partial> PrefixIndex::find_partial(
    Digest parent, std::span<const TokenId> tokens) const {
    const auto at = after_.find(parent);
    if (at == after_.end()) return std::nullopt;
    std::optional<Partial> best;
    for (const BlockId block : at->second) {
        const auto& held = entries_[block].tokens;
        const auto end = tokens.size() < kBlockTokens ? tokens.size() : kBlockTokens;
        uint32_t same = 0;
        while (same < end && held[same] == tokens[same]) ++same;
        if (same > 0 && (!best || same > best->tokens)) best = Partial{block, same};
    }
    return best;
}

bool PrefixIndex::insert(Digest parent, std::span<const TokenId> tokens, BlockId block) {
    CHECK(tokens.size() == kBlockTokens && !entries_[block].present);
    if (find(parent, tokens)) return false;
    Entry& entry = entries_[block];
    entry.present = true;
    entry.parent = parent;
    std::copy(tokens.begin(), tokens.end(), entry.tokens.begin());
    after_[parent].push_back(block);
    ++size_;
    return true;
}

void PrefixIndex::erase(BlockId block) {
    Entry& entry = entries_[block];
    CHECK(entry.present);
    const auto at = after_.find(entry.parent);
    std::erase(at->second, block);
    if (at->second.empty()) after_.erase(at);
    entry.present = false;
    --size_;
}

}  // namespace dunlin
