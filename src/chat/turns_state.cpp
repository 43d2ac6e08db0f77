#include "chat/turns_state.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"

namespace dunlin {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr size_t kEndsMax = 32;
constexpr auto kTick = std::chrono::milliseconds(250);

MessageStatus status_of(End end) {
    return end == End::Cancelled ? MessageStatus::Cancelled : MessageStatus::Complete;
}

}  // namespace

Entry* Turns::State::find(std::string_view session) const {
    if (session.empty()) return nullptr;
    for (const auto& entry : entries)
        if (entry->session == session && !entry->forgotten) return entry.get();
    return nullptr;
}

Expected<std::shared_ptr<Entry>> Turns::State::reserve(const std::string& session) {
    const std::lock_guard lock(mutex);
    if (Entry* before = find(session)) {
        if (!before->ended_us)
            return fail(Code::Conflict,
                        "the session has an answer under way; wait for its end, or stop it",
                        "session_id");
        before->forgotten = true;
    }
    auto entry = std::make_shared<Entry>();
    entry->session = session;
    entries.push_back(entry);
    return entry;
}

void Turns::State::give_back(const std::shared_ptr<Entry>& entry) {
    const std::lock_guard lock(mutex);
    entries.remove(entry);
}

void Turns::State::follow(const std::shared_ptr<Entry>& entry, std::shared_ptr<Turn> turn) {
    {
        const std::lock_guard lock(mutex);
        if (turn->plan_) entry->answer = turn->plan_->answer;
        entry->written_us = clock.now_us();
        entry->turn = turn;
    }
    // Weak, both: the log must not keep alive what keeps it alive.
    turn->inner_->wake_on_event(Generation::kAtEnd,
                                [weak = weak_from_this(), ended = std::weak_ptr(entry)]() noexcept {
                                    if (const auto one = ended.lock())
                                        one->ended.store(true, std::memory_order_release);
                                    if (const auto self = weak.lock()) {
                                        const std::lock_guard lock(self->mutex);
                                        self->something_ended = true;
                                        self->wake.notify_all();
                                    }
                                });
}

void Turns::State::wait(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, kTick, [this] { return something_ended; });
    something_ended = false;
}

void Turns::State::tick() {
    const std::lock_guard one(ticking);
    const int64_t now = clock.now_us();
    std::vector<std::shared_ptr<Entry>> ended, stored;
    {
        const std::lock_guard lock(mutex);
        for (const auto& entry : entries) {
            if (!entry->turn) continue;
            if (!entry->ended_us && entry->ended.load(std::memory_order_acquire))
                ended.push_back(entry);
            else if (entry->turn->plan_)
                stored.push_back(entry);
        }
    }
    for (const auto& entry : ended) read(*entry);
    std::vector<std::shared_ptr<Entry>> grown;
    for (const auto& entry : stored) {
        const auto alone_us = entry->turn->alone_since_us();
        if (alone_us && now - *alone_us > int64_t{settings.detached_s} * kSecondUs)
            entry->turn->cancel();
        // An answer that has ended is among them for as long as the disk did not take it.
        if (now - entry->written_us < int64_t{settings.write_ms} * 1000) continue;
        read(*entry);
        entry->written_us = now;
        if (entry->unwritten) grown.push_back(entry);
    }
    write(ended, grown);
    forget(now);
    remove_expired(now);
}

void Turns::State::read(Entry& entry) {
    std::vector<Event> events;
    entry.next += entry.turn->inner_->read(entry.next, SIZE_MAX, events);
    for (const Event& event : events) {
        if (const auto* started = std::get_if<Started>(&event)) {
            entry.started = true;
            entry.answer.prompt_tokens = started->prompt_tokens;
        } else if (const auto* text = std::get_if<Text>(&event)) {
            if (entry.turn->plan_) entry.answer.content += text->utf8;
            entry.unwritten = true;
        } else if (const auto* finished = std::get_if<Finished>(&event)) {
            entry.answer.status = status_of(finished->end);
            entry.answer.finish_reason = to_string(finished->end);
        } else if (const auto* done = std::get_if<Done>(&event)) {
            entry.usage = done->usage;
        } else if (const auto* failed = std::get_if<Failed>(&event)) {
            entry.usage = failed->usage;
            entry.error = failed->error;
            // What the server's own stop cut off is told apart from what went wrong.
            const bool stopped = failed->error.code == Code::NotReady;
            entry.answer.status = stopped ? MessageStatus::Interrupted : MessageStatus::Failed;
        }
    }
    entry.answer.completion_tokens = entry.usage.completion_tokens;
}

/// Stores what there is, in one transaction, and then lets the readers of ended answers know.
void Turns::State::write(const std::vector<std::shared_ptr<Entry>>& ended,
                         const std::vector<std::shared_ptr<Entry>>& grown) {
    std::vector<AnswerUpdate> updates;
    for (const auto* list : {&ended, &grown})
        for (const auto& entry : *list)
            if (entry->turn->plan_ && (entry->started || !entry->error))
                updates.push_back({entry->session, entry->answer});
    bool stored = true;
    if (!updates.empty()) {
        const auto written = sessions.write(updates);
        stored = written.has_value();
        if (!written)
            log_error("chat", "answers could not be stored; tried again later",
                      {{"answers", updates.size()}, {"why", written.error().message}});
    }
    for (const auto* list : {&ended, &grown})
        for (const auto& entry : *list) entry->unwritten = !stored && entry->turn->plan_;
    for (const auto& entry : ended) {
        const bool refused = entry->turn->plan_ && entry->error && !entry->started;
        const bool saved = refused ? take_back(*entry) : stored && entry->turn->plan_;
        bill(*entry);
        {
            const std::lock_guard lock(mutex);
            entry->ended_us = clock.now_us();
            ends_us.push_back(*entry->ended_us);
            if (ends_us.size() > kEndsMax) ends_us.pop_front();
        }
        entry->turn->release(saved);
    }
}

/// A refusal acknowledged nothing, so nothing stays.
bool Turns::State::take_back(Entry& entry) {
    const Turn& turn = *entry.turn;
    const auto done = turn.made_session_ ? sessions.remove(turn.owner(), entry.session)
                                         : sessions.withdraw(*turn.plan_);
    if (!done)
        log_error("chat", "a refused question could not be taken back",
                  {{"why", done.error().message}});
    return done.has_value();
}

/// Once an answer, whoever reads it and however it ends.
void Turns::State::bill(const Entry& entry) {
    const std::string& owner = entry.turn->owner();
    if (owner.empty()) return;
    const std::string outcome(entry.error ? "error" : "done");
    metrics
        .counter("dunlin_key_requests_total", "Answers by the key that asked for them",
                 {{"key", owner}, {"outcome", outcome}})
        .add();
    const auto tokens = [&](const char* kind, uint32_t count) {
        metrics
            .counter("dunlin_key_tokens_total", "Tokens by the key that asked for them",
                     {{"key", owner}, {"kind", kind}})
            .add(count);
    };
    tokens("prompt", entry.usage.prompt_tokens);
    tokens("completion", entry.usage.completion_tokens);
}

void Turns::State::forget(int64_t now) {
    const std::lock_guard lock(mutex);
    entries.remove_if([&](const auto& entry) {
        if (!entry->ended_us) return false;
        if (entry->unwritten) return false;
        const bool stays = entry->turn->plan_ && !entry->forgotten;
        return !stays || now - *entry->ended_us > int64_t{settings.resumable_s} * kSecondUs;
    });
}

void Turns::State::remove_expired(int64_t now) {
    if (now < expired_us) return;
    expired_us = now + 60 * kSecondUs;
    const auto removed = sessions.remove_expired();
    if (!removed)
        log_error("chat", "old sessions could not be deleted", {{"why", removed.error().message}});
    else if (*removed > 0)
        log_info("chat", "old sessions deleted", {{"sessions", *removed}});
}

}  // namespace dunlin
