#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"

namespace dunlin {

/// Guesses how a sequence goes on from what stands in it already: the continuation of the place
/// whose tokens before it agree longest with the sequence's end (prompt lookup: Saxena, 2023).
/// Whoever edits or quotes a text writes again what the prompt holds.
///
/// An index of all runs of kRun tokens, which grows with the sequence: a few operations a token,
/// and 12 to 20 bytes of memory for each. Not thread-safe.
class PromptLookup {
 public:
    static constexpr uint32_t kRun = 3;     // tokens that must agree at least
    static constexpr uint32_t kPlaces = 8;  // the latest places of a run that are compared
    static constexpr uint32_t kAgree = 32;  // of tokens that agree: more count no more

    /// Appends up to `count` guesses of what follows `tokens` to `out`: none where the last kRun
    /// tokens stand nowhere else. Of equally good places the latest. A guess that reaches the end
    /// of the sequence repeats itself from there on.
    /// REQUIRES: `tokens` begins with the tokens of the last call.
    void guess(std::span<const TokenId> tokens, uint32_t count, std::vector<TokenId>& out);

 private:
    uint32_t* slot(std::span<const TokenId> tokens, uint32_t end);
    void index(std::span<const TokenId> tokens);

    std::vector<uint32_t> latest_;   // where a run ended last, by its hash; 0: nowhere
    std::vector<uint32_t> earlier_;  // where the run that ends at [i] ended before; 0: nowhere
};

}  // namespace dunlin
