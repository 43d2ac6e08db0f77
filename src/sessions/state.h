#pragma once

#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>

#include "sessions/session_store.h"
#include "sessions/sessions.h"
#include "sessions/tree.h"

namespace dunlin {

/// What the parts of Sessions share.
struct Sessions::State {
    std::unique_ptr<SessionStore> store;
    SessionLimits limits;
    const Clock& clock;
    /// Whoever changes something from what it read holds it alone; whoever puts together what it
    /// reads in several calls shares it.
    std::shared_mutex mutex;
    int64_t last_change = 0;

    /// The session where it is this owner's and within its lifetime; else NotFound.
    Expected<Session> owned(std::string_view owner, std::string_view id) const;
    Expected<MessageTree> tree(const Session& session) const;
    /// The oldest time of change of sessions that still live.
    int64_t alive_from_unix_s() const;
    /// The session has been used now. REQUIRES: the mutex is held alone.
    void touch(Session& session);
    Expected<void> store_session(const Session& session);
    /// Answers that were being written when the process ended become Interrupted.
    Expected<void> interrupt_unfinished();
    /// Adds to `changes` what the updates change in one session.
    Expected<void> add_answers(Session session, std::span<const StoredMessage* const> answers,
                               StoreChanges& changes);
};

/// Invalid where a field cannot be as given, TooLarge above a limit. Titles become one line.
Expected<void> set_fields(Session& session, const SessionFields& fields,
                          const SessionLimits& limits);

std::unexpected<Error> no_such_session();
std::unexpected<Error> no_such_message(std::string param = {});

}  // namespace dunlin
