#include "engine/draft_pace.h"

#include <algorithm>
#include <cmath>

namespace dunlin {
namespace {

constexpr double kWeight = 0.25;      // of a new time
constexpr double kRateWeight = 0.15;  // of a new guess
constexpr double kRateMost = 0.98;
constexpr double kFirstPrice = 0.15;  // of a guess beside one sequence
constexpr double kLeastPrice = 0.05;
constexpr uint32_t kMostGuesses = 64;

void blend(std::optional<double>& mean, double value) {
    mean = mean ? *mean + kWeight * (value - *mean) : value;
}

}  // namespace

void DraftPace::note(uint32_t sequences, uint32_t drafted, uint64_t compute_us) {
    if (sequences == 0 || sequences > kRowsMax) return;
    Times& times = times_[sequences - 1];
    const double us = std::max(1.0, static_cast<double>(compute_us));
    if (drafted == 0) {
        blend(times.plain_us, us);
        times.drafted = 0;
    } else if (times.plain_us) {
        // A step that was interrupted says nothing about guesses.
        const double more_us = std::clamp((us - *times.plain_us) / drafted, 0.0, *times.plain_us);
        blend(times.drafted_us, more_us);
        ++times.drafted;
    }
}

std::optional<double> DraftPace::price(uint32_t sequences) const {
    if (sequences == 0 || sequences >= kRowsMax) return std::nullopt;
    const Times& times = times_[sequences - 1];
    if (!times.plain_us || times.drafted >= kDraftedMax) return std::nullopt;
    const double one = times.drafted_us ? *times.drafted_us / *times.plain_us : kFirstPrice;
    return std::max(kLeastPrice, one * sequences);
}

uint32_t DraftBalance::affordable(double price) {
    price_ = price;
    if (price >= 1) return 0;
    // The last one that is still worth its price: its predecessors must be right too.
    const double worth = std::floor(std::log(price) / std::log(rate_));
    return static_cast<uint32_t>(
        std::clamp(std::min(std::max(1.0, worth), balance_ / price), 0.0, double{kMostGuesses}));
}

void DraftBalance::settle(uint32_t drafted, uint32_t accepted) {
    for (uint32_t i = 0; i < accepted; ++i) rate_ += kRateWeight * (kRateMost - rate_);
    if (accepted < drafted) rate_ -= kRateWeight * rate_;
    balance_ = std::clamp(balance_ + kIncome + accepted - price_ * drafted, 0.0, kMost);
}

}  // namespace dunlin
