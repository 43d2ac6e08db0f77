// Sequences as tables of blocks. Only state that has been computed counts: append() moves the
// length forward, and a block becomes findable when its sixteenth token is in.
//
// Two sequences that compute the same prefix at the same time would each fill blocks of their own.
// match() therefore also looks at what open sequences are about to compute: where one of the same
// domain has the same tokens in its prompt and is not done with them, it names that sequence to
// wait for, so that identical prompts arriving together are computed once.

#include "kv/paged_sequences.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/check.h"
#include "kv/block_pool.h"
#include "kv/prefix_index.h"

namespace dunlin {

struct PagedSequences::State {
    struct Sequence {
        Digest domain;
        std::vector<TokenId> prompt;  // what open() was given, for match()
        std::vector<TokenId> tokens;  // whose state is here
        std::vector<BlockId> blocks;
        std::vector<Digest> chain;  // chain[i]: digest of the first i blocks
        uint32_t tokens_max = 0;
        bool launched = false;
    };

    State(const PagedSettings& s, CopyBlock c)
        : settings(s), copy(std::move(c)), pool(s.blocks_total), index(s.blocks_total) {}

    Sequence& at(SeqId seq) {
        const auto found = sequences.find(seq);
        CHECK(found != sequences.end());
        return found->second;
    }
    const Sequence& at(SeqId seq) const { return const_cast<State*>(this)->at(seq); }

    BlockId take() {
        const auto taken = pool.take();
        if (taken.was_cached) index.erase(taken.block), evicted = true;
        return taken.block;
    }
    /// Makes room for one block that only this sequence may write to, at the end of its table.
    void adopt_copy(Sequence& s, BlockId from, uint32_t tokens) {
        pool.retain(from);  // taking a block must not evict the one that is copied
        const BlockId own = take();
        copy(from, own, tokens);
        pool.release(from);
        s.blocks.push_back(own);
    }
    void drop_blocks(Sequence& s, size_t keep) {
        // From the end, so that the tail of a prefix is evicted before its beginning.
        while (s.blocks.size() > keep) {
            pool.release(s.blocks.back());
            s.blocks.pop_back();
        }
    }
    void forget(BlockId block) {
        if (!index.contains(block)) return;
        index.erase(block);
        pool.set_cached(block, false);
    }

    PagedSettings settings;
    CopyBlock copy;
    BlockPool pool;
    PrefixIndex index;
    std::map<SeqId, Sequence> sequences;
    SeqId next = 1;
    bool evicted = false;  // something cached has ever been taken
};

PagedSequences::PagedSequences(const PagedSettings& settings, CopyBlock copy)
    : state_(std::make_unique<State>(settings, std::move(copy))) {}
PagedSequences::~PagedSequences() = default;

Expected<SeqId> PagedSequences::open(Digest domain, std::span<const TokenId> prompt,
                                     uint32_t tokens_max) {
    const PagedSettings& settings = state_->settings;
    const uint64_t room = uint64_t{settings.blocks_total} * kBlockTokens;
    const uint64_t most = std::min<uint64_t>(settings.sequence_tokens_max, room);
    if (auto refused = refuse_opening({.prompt_tokens = prompt.size(),
                                       .tokens_max = tokens_max,
                                       .tokens_most = most,
                                       .open = static_cast<uint32_t>(state_->sequences.size()),
                                       .sequences_max = settings.sequences_max}))
        return std::unexpected(std::move(*refused));
    while (state_->next == 0 || state_->sequences.contains(state_->next)) ++state_->next;
    const SeqId seq = state_->next++;
    State::Sequence& s = state_->sequences[seq];
    s.domain = domain;
    s.prompt.assign(prompt.begin(), prompt.end());
    s.chain = {PrefixIndex::root(domain)};
    s.tokens_max = tokens_max;
    return seq;
}

Match PagedSequences::match(SeqId seq) {
    State::Sequence& s = state_->at(seq);
    CHECK(!s.launched);
    // The last prompt token is always computed, so that there are logits.
    const auto usable = static_cast<uint32_t>(s.prompt.empty() ? 0 : s.prompt.size() - 1);
    const std::span<const TokenId> prompt(s.prompt.data(), usable);
    auto length = static_cast<uint32_t>(s.tokens.size());
    if (length % kBlockTokens == 0) {
        while (length + kBlockTokens <= usable) {
            const auto tokens = prompt.subspan(length, kBlockTokens);
            const auto block = state_->index.find(s.chain.back(), tokens);
            if (!block) break;
            state_->pool.retain(*block);
            state_->drop_blocks(s, length / kBlockTokens);
            s.blocks.push_back(*block);
            s.chain.push_back(PrefixIndex::extend(s.chain.back(), tokens));
            s.tokens.insert(s.tokens.end(), tokens.begin(), tokens.end());
            length += kBlockTokens;
        }
    }
    Match match{.length = length};
    if (length + 1 >= s.prompt.size()) {
        match.why = Reuse::Complete;
        return match;
    }
    // Somebody of this domain that is computing more of the same right now?
    for (const auto& [other, o] : state_->sequences) {
        const bool computing = o.launched || o.blocks.size() * kBlockTokens > o.tokens.size();
        if (other == seq || !computing || o.domain != s.domain) continue;
        const size_t same = static_cast<size_t>(
            std::mismatch(o.prompt.begin(), o.prompt.end(), prompt.begin(), prompt.end()).first -
            o.prompt.begin());
        const auto whole = static_cast<uint32_t>(same / kBlockTokens * kBlockTokens);
        if (o.tokens.size() < o.prompt.size() && whole > length && whole > o.tokens.size() &&
            whole > match.wait_length) {
            match.wait_for = other;
            match.wait_length = whole;
        }
    }
    if (match.wait_for != 0) return match;
    if (length % kBlockTokens == 0 && state_->pool.free() > 0) {
        const auto rest = prompt.subspan(length, std::min<size_t>(kBlockTokens, usable - length));
        if (const auto partial = state_->index.find_partial(s.chain.back(), rest)) {
            const bool fits =
                state_->pool.references(partial->block) > 0 || state_->pool.free() > 1;
            if (fits) {
                state_->drop_blocks(s, length / kBlockTokens);
                state_->adopt_copy(s, partial->block, partial->tokens);
                s.tokens.insert(s.tokens.end(), rest.begin(), rest.begin() + partial->tokens);
                match.length = length += partial->tokens;
            }
        }
    }
    match.why = length > 0 ? Reuse::Diverged : state_->evicted ? Reuse::Evicted : Reuse::FirstUse;
    if (length + 1 >= s.prompt.size()) match.why = Reuse::Complete;
    return match;
}

Expected<SeqId> PagedSequences::fork(SeqId parent, uint32_t length) {
    CHECK(length <= state_->at(parent).tokens.size());
    const State::Sequence& p = state_->at(parent);
    auto child = open(p.domain, p.prompt, p.tokens_max);
    if (!child) return child;
    State::Sequence& c = state_->at(*child);
    c.launched = true;
    const uint32_t whole = length / kBlockTokens;
    for (uint32_t i = 0; i < whole; ++i) {
        state_->pool.retain(p.blocks[i]);
        c.blocks.push_back(p.blocks[i]);
        c.chain.push_back(p.chain[i + 1]);
    }
    uint32_t kept = whole * kBlockTokens;
    if (length > kept && state_->pool.free() > 0) {
        state_->adopt_copy(c, p.blocks[whole], length - kept);
        kept = length;
    }
    c.tokens.assign(p.tokens.begin(), p.tokens.begin() + kept);
    return child;
}

bool PagedSequences::reserve(SeqId seq, uint32_t tokens) {
    State::Sequence& s = state_->at(seq);
    const uint64_t end = s.tokens.size() + uint64_t{tokens};
    if (end > s.tokens_max) return false;
    const uint64_t wanted = (end + kBlockTokens - 1) / kBlockTokens;
    if (wanted > s.blocks.size() && wanted - s.blocks.size() > state_->pool.free()) return false;
    while (s.blocks.size() < wanted) s.blocks.push_back(state_->take());
    return true;
}

uint32_t PagedSequences::reserved(SeqId seq) const {
    const State::Sequence& s = state_->at(seq);
    const size_t end = std::min<size_t>(s.blocks.size() * kBlockTokens, s.tokens_max);
    return static_cast<uint32_t>(end - s.tokens.size());
}

uint32_t PagedSequences::trim(SeqId seq, uint32_t length) {
    State::Sequence& s = state_->at(seq);
    if (length >= s.tokens.size()) return static_cast<uint32_t>(s.tokens.size());
    const uint32_t whole = length / kBlockTokens;
    if (length % kBlockTokens != 0) {
        // The block goes on being written: it must be this sequence's own and not be findable.
        const BlockId block = s.blocks[whole];
        if (state_->pool.references(block) > 1) {
            if (state_->pool.free() == 0) return trim(seq, whole * kBlockTokens);
            state_->drop_blocks(s, whole + 1);
            s.blocks.pop_back();
            state_->adopt_copy(s, block, length % kBlockTokens);
            state_->pool.release(block);
        } else {
            state_->forget(block);
        }
        state_->drop_blocks(s, whole + 1);
    } else {
        state_->drop_blocks(s, whole);
    }
    s.tokens.resize(length);
    s.chain.resize(whole + 1);
    return length;
}

void PagedSequences::append(SeqId seq, std::span<const TokenId> tokens) {
    State::Sequence& s = state_->at(seq);
    CHECK(tokens.size() <= reserved(seq));
    s.launched = true;
    s.tokens.insert(s.tokens.end(), tokens.begin(), tokens.end());
    while (s.chain.size() <= s.tokens.size() / kBlockTokens) {
        const size_t block = s.chain.size() - 1;
        const std::span<const TokenId> own(s.tokens.data() + block * kBlockTokens, kBlockTokens);
        if (!state_->index.contains(s.blocks[block]) &&
            state_->index.insert(s.chain.back(), own, s.blocks[block]))
            state_->pool.set_cached(s.blocks[block], true);
        s.chain.push_back(PrefixIndex::extend(s.chain.back(), own));
    }
}

void PagedSequences::close(SeqId seq, Keep keep) {
    State::Sequence& s = state_->at(seq);
    if (keep == Keep::Nothing)
        for (const BlockId block : s.blocks)
            if (state_->pool.references(block) == 1) state_->forget(block);
    state_->drop_blocks(s, 0);
    state_->sequences.erase(seq);
}

uint32_t PagedSequences::length(SeqId seq) const {
    return static_cast<uint32_t>(state_->at(seq).tokens.size());
}

std::span<const BlockId> PagedSequences::blocks(SeqId seq) const {
    return state_->at(seq).blocks;
}

Room PagedSequences::room() const {
    const BlockPool& pool = state_->pool;
    return {.tokens_total = uint64_t{pool.total()} * kBlockTokens,
            .tokens_free = uint64_t{pool.free()} * kBlockTokens,
            .tokens_cached = uint64_t{pool.cached()} * kBlockTokens,
            .sequences_free =
                state_->settings.sequences_max - static_cast<uint32_t>(state_->sequences.size()),
            .granule = kBlockTokens};
}

void PagedSequences::check_integrity() const {
    state_->pool.check_integrity();
    std::vector<uint32_t> references(state_->pool.total(), 0);
    for (const auto& [seq, s] : state_->sequences) {
        CHECK(s.tokens.size() <= s.blocks.size() * kBlockTokens);
        CHECK(s.chain.size() == s.tokens.size() / kBlockTokens + 1);
        for (size_t i = 0; i < s.blocks.size(); ++i) {
            ++references[s.blocks[i]];
            // A block that is still being written belongs to one sequence and is not findable.
            if (i >= s.tokens.size() / kBlockTokens)
                CHECK(state_->pool.references(s.blocks[i]) == 1 &&
                      !state_->index.contains(s.blocks[i]));
        }
    }
    size_t findable = 0;
    for (BlockId block = 0; block < state_->pool.total(); ++block) {
        CHECK(references[block] == state_->pool.references(block));
        CHECK(state_->pool.is_cached(block) == state_->index.contains(block));
        findable += state_->index.contains(block) ? 1 : 0;
    }
    CHECK(findable == state_->index.size());
}

}  // namespace dunlin
