#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/ids.h"
#include "kv/room.h"

namespace dunlin {

using BlockId = uint32_t;

/// Tokens in a block of KV.
inline constexpr uint32_t kBlockTokens = 16;

struct PagedSettings {
    uint32_t blocks_total = 0;
    uint32_t sequences_max = 0;
    uint32_t sequence_tokens_max = 0;
};

/// The room a Runner keeps for its sequences: blocks of kBlockTokens tokens, reference-counted and
/// content-addressed, without the memory itself. A Runner with paged KV forwards its calls about
/// room to this class and stores the state of block b wherever it likes. open, match, fork,
/// reserve, trim, close, length and room mean what `runner/runner.h` says.
/// Deterministic. Not thread-safe.
class PagedSequences {
 public:
    /// Copies the first `tokens` tokens' state of block `from` into block `to`.
    using CopyBlock = std::function<void(BlockId from, BlockId to, uint32_t tokens)>;

    PagedSequences(const PagedSettings& settings, CopyBlock copy);
    ~PagedSequences();

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

    /// The blocks that hold tokens 0, 16, 32, ... of the sequence, those reserved beyond its
    /// length too. Valid until the next call that is not const.
    std::span<const BlockId> blocks(SeqId seq) const;

    /// The state of these tokens, which follow length(seq), has been computed into the reserved
    /// blocks. Only now do they count, and full blocks become findable by match().
    /// REQUIRES: tokens.size() <= reserved(seq).
    void append(SeqId seq, std::span<const TokenId> tokens);

    /// CHECKs every invariant: reference counts, free list, index. For tests and idle moments.
    void check_integrity() const;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace dunlin
