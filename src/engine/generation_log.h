#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "engine/generation.h"

namespace dunlin {

/// The Generation that an engine writes to. append() is the engine's, the rest is anybody's.
class GenerationLog final : public Generation {
 public:
    size_t read(uint64_t from, size_t events_max, std::vector<Event>& out) const override;
    void wake_on_event(uint64_t from, std::move_only_function<void() noexcept> once) override;
    void cancel() noexcept override { cancelled_.store(true, std::memory_order_relaxed); }

    bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
    void append(Event event);

 private:
    struct Waiter {
        uint64_t from;
        std::move_only_function<void() noexcept> once;
    };
    mutable std::mutex mutex_;
    std::vector<Event> events_;
    std::vector<Waiter> waiters_;
    std::atomic<bool> cancelled_{false};
};

}  // namespace dunlin
