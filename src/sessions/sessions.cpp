#include "sessions/sessions.h"

#include <mutex>

#include "base/check.h"
#include "sessions/random_id.h"
#include "sessions/state.h"

namespace dunlin {

Sessions::Sessions(std::unique_ptr<SessionStore> store, const SessionLimits& limits,
                   const Clock& clock)
    : state_(std::make_unique<State>(std::move(store), limits, clock)) {}
Sessions::~Sessions() = default;

Expected<std::unique_ptr<Sessions>> Sessions::open(std::unique_ptr<SessionStore> store,
                                                   const SessionLimits& limits,
                                                   const Clock& clock) {
    CHECK(store != nullptr);
    std::unique_ptr<Sessions> out(new Sessions(std::move(store), limits, clock));
    State& state = *out->state_;
    const auto last = state.store->last_change();
    if (!last) return std::unexpected(last.error());
    state.last_change = *last;
    if (auto ended = state.interrupt_unfinished(); !ended) return std::unexpected(ended.error());
    if (auto removed = out->remove_expired(); !removed) return std::unexpected(removed.error());
    return out;
}

Expected<void> Sessions::State::interrupt_unfinished() {
    const auto sessions = store->sessions_with(MessageStatus::Writing);
    if (!sessions) return std::unexpected(sessions.error());
    StoreChanges changes;
    for (const std::string& session : *sessions) {
        const auto links = store->links(session);
        if (!links) return std::unexpected(links.error());
        std::vector<std::string> ids;
        for (const MessageLink& link : *links)
            if (link.status == MessageStatus::Writing) ids.push_back(link.id);
        auto messages = store->messages(session, ids);
        if (!messages) return std::unexpected(messages.error());
        for (StoredMessage& message : *messages) {
            message.status = MessageStatus::Interrupted;
            changes.messages.push_back({session, std::move(message)});
        }
    }
    if (changes.messages.empty()) return {};
    return store->apply(changes);
}

const SessionLimits& Sessions::limits() const {
    return state_->limits;
}

Expected<Session> Sessions::create(std::string_view owner, const SessionFields& fields) {
    Session session;
    session.owner = owner;
    if (auto set = set_fields(session, fields, state_->limits); !set)
        return std::unexpected(set.error());
    auto id = random_id("sess_");
    if (!id) return std::unexpected(id.error());
    session.id = std::move(*id);
    session.created_unix_s = state_->clock.unix_s();

    const std::lock_guard lock(state_->mutex);
    const auto count = state_->store->count(owner);
    if (!count) return std::unexpected(count.error());
    if (*count >= state_->limits.sessions_max)
        return fail(Code::TooLarge, "there are " + std::to_string(*count) + " sessions, and " +
                                        std::to_string(state_->limits.sessions_max) +
                                        " are the limit; delete some first");
    state_->touch(session);
    if (auto stored = state_->store_session(session); !stored)
        return std::unexpected(stored.error());
    return session;
}

Expected<Session> Sessions::find(std::string_view owner, std::string_view id) {
    return state_->owned(owner, id);
}

Expected<Session> Sessions::change(std::string_view owner, std::string_view id,
                                   const SessionFields& fields) {
    const std::lock_guard lock(state_->mutex);
    auto session = state_->owned(owner, id);
    if (!session) return session;
    if (auto set = set_fields(*session, fields, state_->limits); !set)
        return std::unexpected(set.error());
    state_->touch(*session);
    if (auto stored = state_->store_session(*session); !stored)
        return std::unexpected(stored.error());
    return session;
}

Expected<void> Sessions::remove(std::string_view owner, std::string_view id) {
    const std::lock_guard lock(state_->mutex);
    if (auto session = state_->owned(owner, id); !session) return std::unexpected(session.error());
    StoreChanges changes;
    changes.removed_sessions.emplace_back(id);
    return state_->store->apply(changes);
}

Expected<SessionPage> Sessions::list(std::string_view owner, std::string_view query, uint32_t limit,
                                     std::string_view after) {
    StoreQuery wanted{.owner = owner,
                      .text = query,
                      .updated_from_unix_s = state_->alive_from_unix_s(),
                      .limit = limit == UINT32_MAX ? limit : limit + 1};
    if (!after.empty()) {
        const auto last = state_->owned(owner, after);
        if (!last && last.error().code == Code::NotFound)
            return fail(Code::Invalid, "there is no session with the id in 'after' any more",
                        "after");
        if (!last) return std::unexpected(last.error());
        wanted.below_change = last->last_change;
    }
    auto sessions = state_->store->list(wanted);
    if (!sessions) return std::unexpected(sessions.error());
    SessionPage page;
    page.sessions = std::move(*sessions);
    page.more = page.sessions.size() > limit;
    if (page.more) page.sessions.resize(limit);
    return page;
}

Expected<uint32_t> Sessions::remove_expired() {
    if (state_->limits.ttl_s == 0) return 0;
    const std::lock_guard lock(state_->mutex);
    const auto sessions =
        state_->store->list({.updated_below_unix_s = state_->alive_from_unix_s()});
    if (!sessions) return std::unexpected(sessions.error());
    if (sessions->empty()) return 0;
    StoreChanges changes;
    for (const Session& session : *sessions) changes.removed_sessions.push_back(session.id);
    if (auto removed = state_->store->apply(changes); !removed)
        return std::unexpected(removed.error());
    return static_cast<uint32_t>(sessions->size());
}

}  // namespace dunlin
