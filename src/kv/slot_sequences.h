#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/ids.h"
#include "kv/room.h"

namespace dunlin {

using SlotId = uint32_t;

struct SlotSettings {
    uint32_t slots = 0;
    uint32_t slot_tokens = 0;            // the longest sequence
    uint32_t rollback_max = UINT32_MAX;  // how many tokens a slot can take back; 0: recurrent
};

/// What the owner of the slots' memory does to them when asked.
struct SlotMemory {
    /// Slot `to` becomes a copy of slot `from`, whole.
    std::function<void(SlotId from, SlotId to)> copy;
    /// Slot `slot` forgets what lies behind `length`. Returns the length that is left: at most
    /// `length`, 0 at worst.
    std::function<uint32_t(SlotId slot, uint32_t length)> truncate;
};

/// The room of a Runner that has one slot of fixed size for each sequence, as PagedSequences is the
/// room of one with blocks. open, match, fork, reserve, trim, close, length and room mean what
/// `runner/runner.h` says.
///
/// A slot that is closed with Keep::Cached keeps its tokens until another sequence needs it; a
/// sequence of the same domain that begins alike takes it over, without a copy. Nothing is shared
/// between open sequences.
/// Deterministic. Not thread-safe.
class SlotSequences {
 public:
    SlotSequences(const SlotSettings& settings, SlotMemory memory);
    ~SlotSequences();

    Expected<SeqId> open(Digest domain, std::span<const TokenId> prompt, uint32_t tokens_max);
    Match match(SeqId seq);
    Expected<SeqId> fork(SeqId parent, uint32_t length);
    bool reserve(SeqId seq, uint32_t tokens);
    uint32_t trim(SeqId seq, uint32_t length);
    void close(SeqId seq, Keep keep);
    uint32_t length(SeqId seq) const;
    Room room() const;

    /// How many more tokens fit into what is reserved for the sequence.
    uint32_t reserved(SeqId seq) const;

    /// Where the sequence's state lies. REQUIRES: room has been reserved, or something matched.
    SlotId slot(SeqId seq) const;

    /// The state of these tokens, which follow length(seq), is in the slot now.
    /// REQUIRES: tokens.size() <= reserved(seq).
    void append(SeqId seq, std::span<const TokenId> tokens);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace dunlin
