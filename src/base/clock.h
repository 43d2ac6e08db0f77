#pragma once

#include <atomic>
#include <cstdint>

namespace dunlin {

/// Where time comes from. Everything that decides by time takes one, so that tests can turn it.
/// Thread-safe.
class Clock {
 public:
    virtual ~Clock() = default;
    /// Microseconds since some fixed point; never goes back.
    virtual int64_t now_us() const = 0;
    /// Seconds since 1970-01-01 UTC; may jump.
    virtual int64_t unix_s() const = 0;
};

/// The machine's clocks.
class SystemClock final : public Clock {
 public:
    int64_t now_us() const override;
    int64_t unix_s() const override;
};

/// The one SystemClock of the process, for wiring.
const Clock& system_clock();

/// A clock that moves only when told, for tests and simulations.
class ManualClock final : public Clock {
 public:
    int64_t now_us() const override { return us_.load(std::memory_order_relaxed); }
    int64_t unix_s() const override { return kStartUnixS + now_us() / 1'000'000; }
    void advance_us(int64_t us) { us_.fetch_add(us, std::memory_order_relaxed); }

 private:
    static constexpr int64_t kStartUnixS = 1'700'000'000;
    std::atomic<int64_t> us_{0};
};

}  // namespace dunlin
