#include "access/rate_limiter.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace dunlin {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kWindowUs = 60 * kSecondUs;

/// The definition, word for word: every time that was allowed, for ever.
struct SlowLimiter {
    std::map<std::string, std::vector<int64_t>> allowed_us;

    Allowance take(int64_t now_us, const std::string& bucket, uint32_t limit) {
        auto& all = allowed_us[bucket];
        const auto used_at = [&](int64_t t) {
            return static_cast<size_t>(std::count_if(
                all.begin(), all.end(), [&](int64_t one) { return one > t - kWindowUs; }));
        };
        Allowance out{.allowed = used_at(now_us) < limit, .limit = limit};
        if (out.allowed) {
            all.push_back(now_us);
            out.remaining = limit - static_cast<uint32_t>(used_at(now_us));
        } else {
            // The first moment at which one more would be allowed is the end of some window.
            for (const int64_t one : all)
                if (one + kWindowUs > now_us && used_at(one + kWindowUs) < limit) {
                    out.wait_us = one + kWindowUs - now_us;
                    break;
                }
        }
        out.reset_us = all.back() + kWindowUs - now_us;
        // What can never count again is left out for the test's speed.
        if (all.size() > 64 && all.front() < now_us - 2 * kWindowUs) all.erase(all.begin());
        return out;
    }
};

TEST(RateLimiter, DecidesAsTheDefinitionDoes) {
    std::mt19937_64 draw(11);
    ManualClock clock;
    RateLimiter limiter(clock);
    SlowLimiter slow;
    int64_t refused = 0;
    for (int i = 0; i < 300'000; ++i) {
        // Bursts, silences, and steps that end exactly where a window does.
        const uint64_t kind = draw() % 100;
        if (kind < 50) clock.advance_us(static_cast<int64_t>(draw() % (4 * kSecondUs)));
        if (kind == 50) clock.advance_us(kWindowUs);
        if (kind == 51) clock.advance_us(kWindowUs - 1);
        if (kind == 52) clock.advance_us(static_cast<int64_t>(draw() % (3 * kWindowUs)));
        const uint64_t number = draw() % 8;
        const std::string bucket(1, static_cast<char>('a' + number));
        const auto limit = static_cast<uint32_t>(draw() % 50 == 0 ? 1 + draw() % 9 : 1 + number);
        const Allowance got = limiter.take(bucket, limit);
        const Allowance want = slow.take(clock.now_us(), bucket, limit);
        refused += want.allowed ? 0 : 1;
        ASSERT_EQ(got.allowed, want.allowed) << i;
        ASSERT_EQ(got.remaining, want.remaining) << i;
        ASSERT_EQ(got.wait_us, want.wait_us) << i;
        ASSERT_EQ(got.reset_us, want.reset_us) << i;
        if (!got.allowed && draw() % 4 == 0) {
            // The time to wait is exact: not a microsecond earlier.
            clock.advance_us(got.wait_us - 1);
            ASSERT_FALSE(limiter.take(bucket, limit).allowed);
            clock.advance_us(1);
            ASSERT_TRUE(limiter.take(bucket, limit).allowed);
            slow.take(clock.now_us(), bucket, limit);
        }
    }
    EXPECT_GT(refused, 10'000);
}

TEST(RateLimiter, RefusesABurstAcrossTheMinute) {
    ManualClock clock;
    RateLimiter limiter(clock);
    clock.advance_us(59 * kSecondUs);
    for (int i = 0; i < 60; ++i) EXPECT_TRUE(limiter.take("a", 60).allowed);
    clock.advance_us(2 * kSecondUs);  // the next minute of the wall clock
    const Allowance next = limiter.take("a", 60);
    EXPECT_FALSE(next.allowed);
    EXPECT_EQ(next.wait_us, 58 * kSecondUs);
}

TEST(RateLimiter, CountsNothingThatItRefuses) {
    ManualClock clock;
    RateLimiter limiter(clock);
    EXPECT_TRUE(limiter.take("a", 1).allowed);
    for (int i = 0; i < 59; ++i) {
        clock.advance_us(kSecondUs);
        EXPECT_FALSE(limiter.take("a", 1).allowed);
    }
    clock.advance_us(kSecondUs);
    EXPECT_TRUE(limiter.take("a", 1).allowed);
}

TEST(RateLimiter, KnowsNoLimit) {
    ManualClock clock;
    RateLimiter limiter(clock);
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limiter.take("a", 0).allowed);
    EXPECT_EQ(limiter.take("a", 0).limit, 0U);
    EXPECT_EQ(limiter.size(), 0U);
}

TEST(RateLimiter, AdmitsExactlyTheLimitToManyThreads) {
    ManualClock clock;
    RateLimiter limiter(clock);
    for (int minute = 0; minute < 3; ++minute) {
        std::atomic<int> allowed{0};
        {
            std::vector<std::jthread> threads;
            for (int t = 0; t < 64; ++t)
                threads.emplace_back([&] {
                    for (int i = 0; i < 100; ++i) allowed += limiter.take("key", 1000).allowed;
                });
        }
        EXPECT_EQ(allowed, 1000);
        clock.advance_us(kWindowUs);
    }
}

/// A clock that another thread may see behind or ahead, as after a sleep of the machine.
struct JumpingClock final : Clock {
    mutable int64_t us = 0;
    int64_t now_us() const override { return us; }
    int64_t unix_s() const override { return 0; }
};

TEST(RateLimiter, NeverGoesBackInTime) {
    JumpingClock clock;
    RateLimiter limiter(clock);
    clock.us = 3600 * kSecondUs;
    EXPECT_TRUE(limiter.take("a", 1).allowed);
    clock.us = 0;
    const Allowance next = limiter.take("a", 1);
    EXPECT_FALSE(next.allowed);
    EXPECT_EQ(next.wait_us, kWindowUs);
    clock.us = 3660 * kSecondUs;
    EXPECT_TRUE(limiter.take("a", 1).allowed);
}

TEST(RateLimiter, ForgetsWhoWasSilentForAMinute) {
    ManualClock clock;
    RateLimiter limiter(clock);
    for (int i = 0; i < 1000; ++i) {
        limiter.take(std::to_string(i), 5);
        clock.advance_us(kSecondUs);
    }
    EXPECT_EQ(limiter.size(), 60U);
}

TEST(RateLimiter, CrowdingNeverLetsAnybodyExceedTheLimit) {
    std::mt19937_64 draw(5);
    for (int round = 0; round < 20; ++round) {
        ManualClock clock;
        RateLimiter limiter(clock, 4);
        std::map<std::string, std::deque<int64_t>> allowed_us;
        int allowed = 0;
        for (int i = 0; i < 20'000; ++i) {
            clock.advance_us(static_cast<int64_t>(draw() % (draw() % 100 == 0 ? 90 : 3)) *
                             kSecondUs);
            const std::string bucket(1, static_cast<char>('a' + draw() % 12));
            if (!limiter.take(bucket, 3).allowed) continue;
            ++allowed;
            auto& times = allowed_us[bucket];
            times.push_back(clock.now_us());
            while (times.front() <= clock.now_us() - kWindowUs) times.pop_front();
            ASSERT_LE(times.size(), 3U);
            ASSERT_LE(limiter.size(), 4U);
        }
        EXPECT_GT(allowed, 1000);
    }
}

TEST(RateLimiter, KeepsThePlacesOfThoseWhoHaveOne) {
    ManualClock clock;
    RateLimiter limiter(clock, 1);
    EXPECT_TRUE(limiter.take("first", 2).allowed);
    EXPECT_TRUE(limiter.take("b", 2).allowed);
    EXPECT_TRUE(limiter.take("c", 2).allowed);
    EXPECT_FALSE(limiter.take("d", 2).allowed);  // shares with b and c
    EXPECT_TRUE(limiter.take("first", 2).allowed);
    clock.advance_us(kWindowUs);
    EXPECT_TRUE(limiter.take("d", 2).allowed);
}

}  // namespace
}  // namespace dunlin
