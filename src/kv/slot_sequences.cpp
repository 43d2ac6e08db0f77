#include "kv/slot_sequences.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "base/check.h"

namespace dunlin {

struct SlotSequences::State {
    struct Slot {
        Digest domain;
        std::vector<TokenId> tokens;  // whose state is here
        bool taken = false;
        uint64_t closed_at = 0;
    };
    struct Sequence {
        Digest domain;
        std::vector<TokenId> prompt;
        uint32_t tokens_max = 0;
        uint32_t reserved_end = 0;
        bool launched = false;
        std::optional<SlotId> slot;  // none until there is something to put there
    };

    State(const SlotSettings& s, SlotMemory m)
        : settings(s), memory(std::move(m)), slots(s.slots) {}

    Sequence& at(SeqId seq) {
        const auto found = sequences.find(seq);
        CHECK(found != sequences.end());
        return found->second;
    }
    const Sequence& at(SeqId seq) const { return const_cast<State*>(this)->at(seq); }

    void cut(SlotId id, uint32_t length) {
        Slot& slot = slots[id];
        if (length < slot.tokens.size()) slot.tokens.resize(memory.truncate(id, length));
    }
    bool can_cut(const Slot& slot, uint32_t length) const {
        return slot.tokens.size() - length <= settings.rollback_max;
    }
    void take(Sequence& s, SlotId id) {
        s.slot = id;
        slots[id].taken = true;
        slots[id].domain = s.domain;
    }
    /// An empty slot for a sequence that has none: one without cached tokens if there is, else the
    /// one that was closed longest ago. There is always one, because every open sequence counts.
    void take_any(Sequence& s) {
        std::optional<SlotId> best;
        for (SlotId id = 0; id < slots.size(); ++id) {
            const auto age = [&](SlotId i) {
                return std::pair(!slots[i].tokens.empty(), slots[i].closed_at);
            };
            if (!slots[id].taken && (!best || age(id) < age(*best))) best = id;
        }
        CHECK(best);
        evicted |= !slots[*best].tokens.empty();
        cut(*best, 0);
        take(s, *best);
    }
    void leave(Sequence& s) {
        if (!s.slot) return;
        slots[*s.slot].taken = false;
        slots[*s.slot].closed_at = ++closings;
        s.slot.reset();
    }

    SlotSettings settings;
    SlotMemory memory;
    std::vector<Slot> slots;
    std::map<SeqId, Sequence> sequences;
    SeqId next = 1;
    uint64_t closings = 0;
    bool evicted = false;  // something cached has ever been overwritten
};

SlotSequences::SlotSequences(const SlotSettings& settings, SlotMemory memory)
    : state_(std::make_unique<State>(settings, std::move(memory))) {}
SlotSequences::~SlotSequences() = default;

Expected<SeqId> SlotSequences::open(Digest domain, std::span<const TokenId> prompt,
                                    uint32_t tokens_max) {
    const SlotSettings& settings = state_->settings;
    if (auto refused = refuse_opening({.prompt_tokens = prompt.size(),
                                       .tokens_max = tokens_max,
                                       .tokens_most = settings.slot_tokens,
                                       .open = static_cast<uint32_t>(state_->sequences.size()),
                                       .sequences_max = settings.slots}))
        return std::unexpected(std::move(*refused));
    while (state_->next == 0 || state_->sequences.contains(state_->next)) ++state_->next;
    const SeqId seq = state_->next++;
    State::Sequence& s = state_->sequences[seq];
    s.domain = domain;
    s.prompt.assign(prompt.begin(), prompt.end());
    s.tokens_max = tokens_max;
    return seq;
}

Match SlotSequences::match(SeqId seq) {
    State::Sequence& s = state_->at(seq);
    CHECK(!s.launched);
    // The last prompt token is always computed, so that there are logits.
    const size_t usable = s.prompt.empty() ? 0 : s.prompt.size() - 1;
    uint32_t length = this->length(seq);
    std::optional<SlotId> best;
    for (SlotId id = 0; id < state_->slots.size(); ++id) {
        const State::Slot& slot = state_->slots[id];
        if (slot.taken || slot.domain != s.domain) continue;
        const auto end = std::mismatch(slot.tokens.begin(), slot.tokens.end(), s.prompt.begin(),
                                       s.prompt.begin() + static_cast<long>(usable));
        const auto same = static_cast<uint32_t>(end.first - slot.tokens.begin());
        if (same > length && state_->can_cut(slot, same)) length = same, best = id;
    }
    if (best) {
        state_->leave(s);
        state_->take(s, *best);
        state_->cut(*best, length);
        length = this->length(seq);
        s.reserved_end = std::max(s.reserved_end, length);
    }
    const Reuse why = length + 1 >= s.prompt.size() ? Reuse::Complete
                      : length > 0                  ? Reuse::Diverged
                      : state_->evicted             ? Reuse::Evicted
                                                    : Reuse::FirstUse;
    return {.length = length, .why = why};
}

Expected<SeqId> SlotSequences::fork(SeqId parent, uint32_t length) {
    CHECK(length <= this->length(parent));
    const State::Sequence& p = state_->at(parent);
    auto child = open(p.domain, p.prompt, p.tokens_max);
    if (!child) return child;
    State::Sequence& c = state_->at(*child);
    c.launched = true;
    if (length == 0 || !state_->can_cut(state_->slots[*p.slot], length)) return child;
    state_->take_any(c);
    state_->memory.copy(*p.slot, *c.slot);
    state_->slots[*c.slot].tokens = state_->slots[*p.slot].tokens;
    state_->cut(*c.slot, length);
    c.reserved_end = this->length(*child);
    return child;
}

bool SlotSequences::reserve(SeqId seq, uint32_t tokens) {
    State::Sequence& s = state_->at(seq);
    const uint64_t end = length(seq) + uint64_t{tokens};
    if (end > s.tokens_max) return false;
    if (!s.slot && tokens > 0) state_->take_any(s);
    s.reserved_end = std::max(s.reserved_end, static_cast<uint32_t>(end));
    return true;
}

uint32_t SlotSequences::trim(SeqId seq, uint32_t length) {
    State::Sequence& s = state_->at(seq);
    if (length >= this->length(seq)) return this->length(seq);
    state_->cut(*s.slot, state_->can_cut(state_->slots[*s.slot], length) ? length : 0);
    return s.reserved_end = this->length(seq);
}

void SlotSequences::close(SeqId seq, Keep keep) {
    State::Sequence& s = state_->at(seq);
    if (s.slot && keep == Keep::Nothing) state_->cut(*s.slot, 0);
    state_->leave(s);
    state_->sequences.erase(seq);
}

uint32_t SlotSequences::length(SeqId seq) const {
    const State::Sequence& s = state_->at(seq);
    return s.slot ? static_cast<uint32_t>(state_->slots[*s.slot].tokens.size()) : 0;
}

uint32_t SlotSequences::reserved(SeqId seq) const {
    return state_->at(seq).reserved_end - length(seq);
}

SlotId SlotSequences::slot(SeqId seq) const {
    const State::Sequence& s = state_->at(seq);
    CHECK(s.slot);
    return *s.slot;
}

void SlotSequences::append(SeqId seq, std::span<const TokenId> tokens) {
    State::Sequence& s = state_->at(seq);
    CHECK(tokens.size() <= reserved(seq));
    s.launched = true;
    if (tokens.empty()) return;
    std::vector<TokenId>& own = state_->slots[*s.slot].tokens;
    own.insert(own.end(), tokens.begin(), tokens.end());
}

Room SlotSequences::room() const {
    const SlotSettings& settings = state_->settings;
    const auto open = static_cast<uint32_t>(state_->sequences.size());
    const uint64_t free = uint64_t{settings.slots - open} * settings.slot_tokens;
    uint64_t cached = 0;
    for (const State::Slot& slot : state_->slots) cached += slot.taken ? 0 : slot.tokens.size();
    return {.tokens_total = uint64_t{settings.slots} * settings.slot_tokens,
            .tokens_free = free,
            .tokens_cached = std::min(cached, free),
            .sequences_free = settings.slots - open,
            .granule = settings.slot_tokens};
}

}  // namespace dunlin
