#include "engine/generation.h"

#include <condition_variable>
#include <mutex>

namespace dunlin {

std::string_view to_string(End end) {
    return end == End::Length ? "length" : end == End::Cancelled ? "cancelled" : "stop";
}

bool is_last(const Event& event) {
    return std::holds_alternative<Done>(event) || std::holds_alternative<Failed>(event);
}

void wait_for_event(Generation& log, uint64_t from) {
    std::mutex mutex;
    std::condition_variable changed;
    bool ready = false;
    log.wake_on_event(from, [&]() noexcept {
        // Under the lock to the end: once it is free, all this may be gone.
        const std::lock_guard lock(mutex);
        ready = true;
        changed.notify_one();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ready; });
}

}  // namespace dunlin
