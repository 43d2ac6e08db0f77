#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace dunlin {

/// Whether one request may be served, and what is left of its bucket's minute.
struct Allowance {
    bool allowed = true;
    uint32_t limit = 0;  // requests a minute; 0: none, and nothing below counts
    uint32_t remaining = 0;
    int64_t wait_us = 0;   // where it is not allowed: until a request will be
    int64_t reset_us = 0;  // until all of the limit is there again
};

/// Requests a minute for each bucket (a key, a client's address), by an exact sliding window: at
/// every time t at most `limit` requests were allowed in (t - 60 s, t]. Only what was allowed
/// counts. [any thread]
///
/// Each bucket remembers when its requests of the last minute were allowed, 8 to 16 bytes each, and
/// is forgotten when the last of them is a minute old: then it is as if it had never been. At most
/// `buckets_max` are there at a time. Who comes when all places are taken shares one more bucket
/// with all others who do, until that one has been silent for a minute: an allowance of anybody
/// then stands in one bucket only, so that crowding can make a limit stricter and never laxer.
class RateLimiter {
 public:
    /// REQUIRES: the clock outlives this.
    explicit RateLimiter(const Clock& clock, size_t buckets_max = 1 << 16);

    /// Takes one request from the bucket, if there is one left. With limit 0 nothing is counted.
    Allowance take(std::string_view bucket, uint32_t limit);

    /// How many buckets are remembered.
    size_t size() const;

 private:
    struct Bucket {
        std::string name;
        std::vector<int64_t>
            times_us;  // of what was allowed, ascending; from `first` on they count
        size_t first = 0;
    };
    using Place = std::list<Bucket>::iterator;

    static void forget(Bucket& bucket, int64_t until_us);
    static bool is_live(const Bucket& bucket) { return bucket.first < bucket.times_us.size(); }
    Bucket& bucket_of(std::string_view name);

    const Clock& clock_;
    const size_t buckets_max_;
    mutable std::mutex mutex_;
    int64_t now_us_ = 0;         // of the last call
    std::list<Bucket> buckets_;  // by their last allowance, the oldest first
    std::unordered_map<std::string_view, Place> places_;
    Bucket shared_;
};

}  // namespace dunlin
