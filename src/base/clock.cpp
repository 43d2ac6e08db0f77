#include "base/clock.h"

#include <chrono>

namespace dunlin {

int64_t SystemClock::now_us() const {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(since).count();
}

int64_t SystemClock::unix_s() const {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::seconds>(since).count();
}

const Clock& system_clock() {
    static const SystemClock clock;
    return clock;
}

}  // namespace dunlin
