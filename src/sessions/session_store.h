#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "sessions/session.h"

namespace dunlin {

/// What the tree of a session needs to know of a message.
struct MessageLink {
    std::string id, parent, role;
    MessageStatus status = MessageStatus::Complete;
    uint64_t bytes = 0;  // of the content
};

/// Which sessions to list.
struct StoreQuery {
    std::optional<std::string_view> owner = {};  // nothing: anybody's
    std::string_view text = {};  // stands in the title or a message, as TextMatch says
    int64_t updated_from_unix_s = std::numeric_limits<int64_t>::min();
    int64_t updated_below_unix_s = std::numeric_limits<int64_t>::max();
    int64_t below_change = std::numeric_limits<int64_t>::max();
    uint32_t limit = std::numeric_limits<uint32_t>::max();
};

/// What one transaction changes, in this order.
struct StoreChanges {
    struct Placed {
        std::string session;
        StoredMessage message;
    };
    std::vector<std::string> removed_sessions;  // with all their messages
    std::vector<Session> sessions;              // new, or in place of what has their id
    std::vector<std::pair<std::string, std::string>> removed_messages;  // session, message
    std::vector<Placed> messages;  // new ones behind the others; known ones where they stand
};

/// The door to where sessions are kept: rows and transactions, no rules. It knows neither owners'
/// rights nor branches nor limits; all of that is Sessions', which also takes care that changes
/// which depend on what was read follow it unbroken, so a store has one Sessions above it.
/// [any thread]
///
/// Errors of all calls: Io (could not read or write; nothing was changed), DiskFull (the same for
/// want of room), Corrupt (what is stored breaks its format), TooLarge (more than the store can
/// hold).
class SessionStore {
 public:
    virtual ~SessionStore() = default;

    virtual Expected<std::optional<Session>> session(std::string_view id) = 0;
    /// The greatest last_change first.
    virtual Expected<std::vector<Session>> list(const StoreQuery& query) = 0;
    virtual Expected<uint64_t> count(std::string_view owner) = 0;
    /// The greatest last_change of all sessions; 0 where there are none.
    virtual Expected<int64_t> last_change() = 0;

    /// All messages in the order in which they came: parents before their children.
    virtual Expected<std::vector<MessageLink>> links(std::string_view session) = 0;
    /// Those messages, in the order of `ids`; what is not there is left out.
    virtual Expected<std::vector<StoredMessage>> messages(std::string_view session,
                                                          std::span<const std::string> ids) = 0;
    /// The sessions that have a message with this status.
    virtual Expected<std::vector<std::string>> sessions_with(MessageStatus status) = 0;

    /// All of it or nothing; durable when it returns. REQUIRES: all texts are UTF-8, and the
    /// sessions of messages and the parents of new ones are there or among the changes.
    virtual Expected<void> apply(const StoreChanges& changes) = 0;
};

}  // namespace dunlin
