#include "engine/step_pace.h"

#include <algorithm>

namespace dunlin {
namespace {

void average(std::optional<double>& mean, double value) {
    constexpr double kWeight = 0.25;
    mean = mean ? *mean + kWeight * (value - *mean) : value;
}

}  // namespace

void StepPace::note(uint32_t decode_rows, double prefill_tokens, uint64_t compute_us) {
    const double us = std::max(1.0, static_cast<double>(compute_us));
    if (prefill_tokens == 0) {
        if (decode_rows == 0) return;
        if (is_other(decode_rows)) decode_us_.reset();
        average(decode_us_, us);
        decode_rows_ = decode_rows;
        mixed_ = 0;
    } else if (decode_rows == 0) {
        // Holds a share of the step's fixed cost too: an upper bound, and a careful start.
        average(token_us_, us / prefill_tokens);
    } else if (decode_us_) {
        average(token_us_, std::max(0.0, us - *decode_us_) / prefill_tokens);
        ++mixed_;
    }
}

double StepPace::prefill_tokens_max(uint32_t decode_rows) {
    constexpr double kMost = 1 << 20;
    const double token_us = std::max(token_us_.value_or(0), 1e-3);
    if (decode_rows == 0) {
        if (!token_us_) return kFirst;
        return std::clamp(step_us_max_ / token_us, kLeast, kMost);
    }
    if (!decode_us_ || is_other(decode_rows) || mixed_ >= kMixedMax) return 0;
    if (!token_us_) return kFirst;
    const double us = std::min(slice_ratio_ * *decode_us_, step_us_max_ - *decode_us_);
    const double most = std::clamp(2 * allowed_, kLeastBeside, kMost);
    return allowed_ = std::clamp(us / token_us, kLeastBeside, most);
}

}  // namespace dunlin
