#include "chat/turns.h"

#include "chat/turns_state.h"

namespace dunlin {

Turns::Turns(Registry& registry, Sessions& sessions, Workers& workers, const Clock& clock,
             Metrics& metrics, const TurnSettings& settings)
    : state_(std::make_shared<State>(registry, sessions, workers, clock, metrics, settings)) {
    if (!settings.own_thread) return;
    thread_ = std::jthread([state = state_](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            state->tick();
            state->wait(stop);
        }
    });
}

Turns::~Turns() {
    thread_ = {};  // stops and joins
    tick();
}

Expected<TurnReader> Turns::resume(std::string_view owner, std::string_view session) {
    const std::lock_guard lock(state_->mutex);
    const Entry* entry = state_->find(session);
    if (entry == nullptr || !entry->turn || entry->turn->owner() != owner)
        return fail(Code::NotFound, "the session has no answer under way", "session_id");
    return TurnReader(entry->turn);
}

bool Turns::is_answering(std::string_view session) const {
    const std::lock_guard lock(state_->mutex);
    const Entry* entry = state_->find(session);
    return entry != nullptr && !entry->ended_us;
}

void Turns::drop(std::string_view owner, std::string_view session) {
    const std::lock_guard lock(state_->mutex);
    Entry* entry = state_->find(session);
    if (entry == nullptr || !entry->turn || entry->turn->owner() != owner) return;
    entry->turn->cancel();
    entry->forgotten = true;
}

std::optional<int64_t> Turns::eta_ms(uint32_t position) const {
    const std::lock_guard lock(state_->mutex);
    const auto& ends = state_->ends_us;
    if (ends.size() < 2 || ends.back() == ends.front()) return std::nullopt;
    const int64_t between_us = (ends.back() - ends.front()) / static_cast<int64_t>(ends.size() - 1);
    return between_us * position / 1000;
}

void Turns::tick() {
    state_->tick();
}

}  // namespace dunlin
