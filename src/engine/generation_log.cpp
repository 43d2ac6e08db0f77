#include "engine/generation_log.h"

#include <algorithm>

namespace dunlin {

size_t GenerationLog::read(uint64_t from, size_t events_max, std::vector<Event>& out) const {
    const std::lock_guard lock(mutex_);
    if (from >= events_.size()) return 0;
    const size_t count = std::min<size_t>(events_max, events_.size() - from);
    const auto begin = events_.begin() + static_cast<long>(from);
    out.insert(out.end(), begin, begin + static_cast<long>(count));
    return count;
}

void GenerationLog::wake_on_event(uint64_t from, std::move_only_function<void() noexcept> once) {
    {
        const std::lock_guard lock(mutex_);
        const bool ended = !events_.empty() && is_last(events_.back());
        if (from >= events_.size() && !ended) {
            waiters_.push_back({from, std::move(once)});
            return;
        }
    }
    once();
}

void GenerationLog::append(Event event) {
    std::vector<Waiter> due;
    {
        const std::lock_guard lock(mutex_);
        events_.push_back(std::move(event));
        const bool ended = is_last(events_.back());
        const auto split = std::partition(waiters_.begin(), waiters_.end(), [&](const Waiter& w) {
            return w.from >= events_.size() && !ended;
        });
        due.assign(std::make_move_iterator(split), std::make_move_iterator(waiters_.end()));
        waiters_.erase(split, waiters_.end());
    }
    for (Waiter& waiter : due) waiter.once();
}

}  // namespace dunlin
