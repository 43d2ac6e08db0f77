#include "chat/turn.h"

#include <algorithm>

namespace dunlin {
namespace {

bool ends(const Event& event) {
    return is_last(event) || std::holds_alternative<Finished>(event);
}

}  // namespace

Turn::Turn(std::shared_ptr<Generation> inner, TurnFacts facts, std::string owner,
           std::optional<TurnPlan> plan, bool made_session, const Clock& clock)
    : inner_(std::move(inner)),
      facts_(std::move(facts)),
      owner_(std::move(owner)),
      plan_(std::move(plan)),
      made_session_(made_session),
      clock_(clock),
      released_(!plan_),
      alone_since_us_(clock.now_us()) {}

size_t Turn::read(uint64_t from, size_t events_max, std::vector<Event>& out) const {
    bool released = false;
    {
        const std::lock_guard lock(mutex_);
        released = released_;
    }
    const size_t before = out.size();
    inner_->read(from, events_max, out);
    if (!released) {
        const auto begin = out.begin() + static_cast<long>(before);
        out.erase(std::find_if(begin, out.end(), ends), out.end());
    }
    return out.size() - before;
}

void Turn::wake_on_event(uint64_t from, std::move_only_function<void() noexcept> once) {
    // Weak: the log must not keep alive what keeps it alive. Whoever waits keeps the turn.
    inner_->wake_on_event(
        from, [weak = weak_from_this(), from, once = std::move(once)]() mutable noexcept {
            if (const auto self = weak.lock())
                self->pass(from, std::move(once));
            else
                once();
        });
}

void Turn::pass(uint64_t from, std::move_only_function<void() noexcept> once) noexcept {
    std::vector<Event> event;
    inner_->read(from, 1, event);
    {
        const std::lock_guard lock(mutex_);
        if (!released_ && (event.empty() || ends(event.front()))) {
            held_.push_back(std::move(once));
            return;
        }
    }
    once();
}

void Turn::release(bool saved) {
    std::vector<std::move_only_function<void() noexcept>> held;
    saved_.store(saved, std::memory_order_release);
    {
        const std::lock_guard lock(mutex_);
        released_ = true;
        held.swap(held_);
    }
    for (auto& once : held) once();
}

void Turn::join() noexcept {
    const std::lock_guard lock(mutex_);
    ++readers_;
}

void Turn::leave() noexcept {
    bool last = false;
    {
        const std::lock_guard lock(mutex_);
        last = --readers_ == 0;
        if (last) alone_since_us_ = clock_.now_us();
    }
    if (last && !plan_) inner_->cancel();
}

std::optional<int64_t> Turn::alone_since_us() const {
    const std::lock_guard lock(mutex_);
    if (readers_ > 0) return std::nullopt;
    return alone_since_us_;
}

}  // namespace dunlin
