#include "access/rate_limiter.h"

#include <algorithm>

namespace dunlin {
namespace {

constexpr int64_t kWindowUs = 60'000'000;

}  // namespace

RateLimiter::RateLimiter(const Clock& clock, size_t buckets_max)
    : clock_(clock), buckets_max_(buckets_max) {}

/// Drops the times up to `until_us`; what they took is given back when it is the larger part.
void RateLimiter::forget(Bucket& bucket, int64_t until_us) {
    auto& times = bucket.times_us;
    while (is_live(bucket) && times[bucket.first] <= until_us) ++bucket.first;
    if (bucket.first < times.size() - bucket.first) return;
    times.erase(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(bucket.first));
    bucket.first = 0;
    if (times.capacity() > 64 && times.size() < times.capacity() / 4) times.shrink_to_fit();
}

/// The bucket's place, at the end of the list: the caller allows a request. Its own where it has
/// one or may get one, else the shared one.
RateLimiter::Bucket& RateLimiter::bucket_of(std::string_view name) {
    if (const auto known = places_.find(name); known != places_.end()) return *known->second;
    if (is_live(shared_) || buckets_.size() >= buckets_max_) return shared_;
    buckets_.push_back({.name = std::string(name), .times_us = {}});
    const Place place = std::prev(buckets_.end());
    places_.emplace(place->name, place);
    return *place;
}

Allowance RateLimiter::take(std::string_view name, uint32_t limit) {
    if (limit == 0) return {};
    const std::lock_guard lock(mutex_);
    now_us_ = std::max(now_us_, clock_.now_us());
    const int64_t until_us = now_us_ - kWindowUs;
    while (!buckets_.empty() && buckets_.front().times_us.back() <= until_us) {
        places_.erase(buckets_.front().name);
        buckets_.pop_front();
    }
    forget(shared_, until_us);

    Bucket& bucket = bucket_of(name);
    forget(bucket, until_us);
    auto& times = bucket.times_us;
    const size_t used = times.size() - bucket.first;
    Allowance out{.allowed = used < limit, .limit = limit};
    if (out.allowed) {
        times.push_back(now_us_);
        if (&bucket != &shared_) buckets_.splice(buckets_.end(), buckets_, places_.at(bucket.name));
        out.remaining = limit - static_cast<uint32_t>(used) - 1;
    } else {
        out.wait_us = times[times.size() - limit] - until_us;
    }
    out.reset_us = times.back() - until_us;
    return out;
}

size_t RateLimiter::size() const {
    const std::lock_guard lock(mutex_);
    return buckets_.size();
}

}  // namespace dunlin
