#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "sessions/session.h"

namespace dunlin {

class SessionStore;

struct SessionLimits {
    uint32_t sessions_max = 1000;  // of one owner
    uint32_t messages_max = 4000;  // of one session, all branches
    uint64_t session_bytes_max = uint64_t{16} << 20;
    int64_t ttl_s = 0;  // since the last change; 0: for ever
};

/// What may be set by hand. Nothing: as it is. An empty text takes a value away.
struct SessionFields {
    std::optional<std::string> title = {}, model = {}, system = {}, parameters = {};
};

/// What a new turn adds to a session.
struct TurnPlace {
    enum class What : uint8_t {
        Say,         // a question below the head
        Regenerate,  // another answer to the question at or above `message` (empty: the head)
        Edit,        // a question beside the question `message`
    };
    What what = What::Say;
    std::string session, message, text;  // `text` of Say and Edit
};

/// Where the messages of a new turn will stand, and what comes before them.
struct TurnPlan {
    Session session;
    std::vector<StoredMessage> context;  // oldest first, the question last
    StoredMessage question;              // new, or the one that is answered again
    bool question_is_new = true;
    StoredMessage answer;  // empty, Writing
};

/// What has been written of an answer. One that is still Writing replaces the text so far.
struct AnswerUpdate {
    std::string session;
    StoredMessage answer;
};

struct SessionPage {
    std::vector<Session> sessions;
    bool more = false;
};
struct HistoryPage {
    Session session;
    std::vector<ShownMessage> messages;  // oldest first
    bool more = false;                   // there are older ones
};

/// The rules of sessions over a store: owners, limits, branches, lifetimes. Every call names the
/// owner, and another owner's session is NotFound. What a call has changed is durable when it
/// returns. Blocks for the disk: not on the I/O thread nor the engine's. [any thread]
///
/// Errors of all calls: NotFound (no such session or message of this owner), Invalid (with the
/// field as `param`), TooLarge (above a limit), Io and DiskFull (the store could not read or write;
/// nothing was changed), Corrupt (the store breaks its own format).
class Sessions {
 public:
    /// Answers that were being written when the process ended become Interrupted.
    /// REQUIRES: the clock outlives this.
    static Expected<std::unique_ptr<Sessions>> open(std::unique_ptr<SessionStore> store,
                                                    const SessionLimits& limits,
                                                    const Clock& clock);
    ~Sessions();
    const SessionLimits& limits() const;

    Expected<Session> create(std::string_view owner, const SessionFields& fields);
    Expected<Session> find(std::string_view owner, std::string_view id);
    Expected<Session> change(std::string_view owner, std::string_view id,
                             const SessionFields& fields);
    Expected<void> remove(std::string_view owner, std::string_view id);
    /// Last used first, those below the session `after`. `query` is looked for in titles and
    /// messages, whatever the case. Invalid where `after` is no session of this owner.
    Expected<SessionPage> list(std::string_view owner, std::string_view query, uint32_t limit,
                               std::string_view after);

    /// The end of the shown branch, or what comes before the message `before`, which must be on it.
    Expected<HistoryPage> history(std::string_view owner, std::string_view id, uint32_t limit,
                                  std::string_view before);
    /// Moves the head up by `count` messages. Invalid where the branch is shorter.
    Expected<Session> rollback(std::string_view owner, std::string_view id, uint32_t count);
    /// Moves the head to the newest end below `message`.
    Expected<Session> show(std::string_view owner, std::string_view id, std::string_view message);

    /// Reads what a turn needs and chooses the ids of its messages; changes nothing.
    Expected<TurnPlan> plan(std::string_view owner, const TurnPlace& place);
    /// Stores the question and the empty answer; the head moves to the answer.
    Expected<void> begin(const TurnPlan& plan);
    /// Takes back what begin() stored.
    Expected<void> withdraw(const TurnPlan& plan);
    /// All in one transaction. Left out are updates of sessions that were deleted meanwhile, and of
    /// answers that have ended already.
    Expected<void> write(std::span<const AnswerUpdate> updates);

    /// Deletes sessions older than their lifetime, which no call finds any more. Returns how many.
    Expected<uint32_t> remove_expired();

 private:
    Sessions(std::unique_ptr<SessionStore> store, const SessionLimits& limits, const Clock& clock);
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace dunlin
