#pragma once

#include <cstdint>
#include <optional>

namespace dunlin {

/// How many tokens of prompts a step may take, by what earlier steps took. Beside sequences that
/// decode, so many that the step lasts at most about twice as long as without them: then their
/// tokens come at no less than half the pace, and since a step's fixed cost (reading the weights)
/// is shared, the prompts take at most about twice as long as alone. With nobody decoding, what
/// fits into `step_us_max`, so that a cancel or a newcomer never waits longer.
///
/// What is told and allowed are tokens' worths of work: half a token is a token through half of the
/// model.
///
/// Moving averages of two times: of a step that only decodes, and of one more token of a prompt.
/// The first is measured anew, by a step without prompts, after every kMixedMax with them and where
/// less than half or more than double as many sequences decode.
/// Deterministic: time comes only from note(). What the numbers are never changes an answer,
/// because a token's bits do not depend on how a prompt is cut.
class StepPace {
 public:
    /// `slice_ratio`: the share of a decoding step's own time that prompts may add to it.
    StepPace(double slice_ratio, uint64_t step_us_max)
        : slice_ratio_(slice_ratio), step_us_max_(static_cast<double>(step_us_max)) {}

    /// A step that computed one token each for `decode_rows` sequences, and so many of prompts.
    void note(uint32_t decode_rows, double prefill_tokens, uint64_t compute_us);

    /// For the next step, beside so many rows: 0 where it is to measure decoding alone, which
    /// happens where there are decoding rows only; otherwise above 0.
    double prefill_tokens_max(uint32_t decode_rows);

 private:
    bool is_other(uint32_t decode_rows) const {
        return decode_rows > 2 * decode_rows_ || 2 * decode_rows < decode_rows_;
    }
    static constexpr double kFirst = 16;  // before anything is known
    static constexpr double kLeast = 16;  // of a step without decoding rows: one block
    static constexpr double kLeastBeside = 1.0 / 64;
    static constexpr uint32_t kMixedMax = 64;  // steps of both kinds between two measurements

    const double slice_ratio_, step_us_max_;
    std::optional<double> decode_us_;  // a step that only decodes
    uint32_t decode_rows_ = 0;         // of the last such step
    std::optional<double> token_us_;   // one more token of a prompt
    uint32_t mixed_ = 0;               // steps of both kinds since decoding was measured
    double allowed_ = kFirst;          // beside decoding rows, last time; at most doubles
};

}  // namespace dunlin
