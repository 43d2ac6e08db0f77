#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace dunlin {

/// What it costs to compute guessed tokens along, by what earlier steps took. The unit is a token
/// of an answer: what a step without guesses takes, shared among the sequences it moves on. Where
/// a step waits for memory a guess costs little, where it computes for many sequences about one.
/// Deterministic: time comes only from note().
class DraftPace {
 public:
    static constexpr uint32_t kRowsMax = 16;  // of a step with guesses, these included

    /// A step of so many decoding sequences, which computed so many guesses along.
    void note(uint32_t sequences, uint32_t drafted, uint64_t compute_us);

    /// The price of a guess beside so many sequences. Nothing where the next step is to be one
    /// without, to be compared with: the first one, and after every kDraftedMax with guesses.
    std::optional<double> price(uint32_t sequences) const;

 private:
    static constexpr uint32_t kDraftedMax = 64;
    struct Times {
        std::optional<double> plain_us, drafted_us;  // a step without guesses; one guess more
        uint32_t drafted = 0;                        // steps with guesses since the last without
    };
    std::array<Times, kRowsMax> times_;  // by sequences, from 1
};

/// Whether guesses pay for one sequence, by how its earlier ones fared. Guesses are bought: each
/// costs its price, each that was right brings the token that it saved, and every token of the
/// answer brings kIncome, so that a sequence whose guesses are always wrong loses at most that
/// share of its time, and kFirst once.
class DraftBalance {
 public:
    /// How many guesses to buy at this price.
    uint32_t affordable(double price);
    /// So many were bought at the last price, so many of them were right; with none bought, a step
    /// without.
    void settle(uint32_t drafted, uint32_t accepted);

 private:
    static constexpr double kFirst = 0.5, kMost = 1.5, kIncome = 0.02;
    double balance_ = kFirst;
    double rate_ = 0.5;  // how often a guess is right whose predecessors were: a moving average
    double price_ = 0;
};

}  // namespace dunlin
