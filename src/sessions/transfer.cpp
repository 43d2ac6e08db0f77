#include "sessions/transfer.h"

#include <algorithm>
#include <map>

namespace dunlin {
namespace {

Expected<void> check_limits(const SessionRows& one, const SessionLimits& limits) {
    const auto too_large = [&](const char* what, uint64_t has, uint64_t most) {
        return fail(Code::TooLarge, "session \"" + one.session.id + "\" has " +
                                        std::to_string(has) + " " + what + ", and " +
                                        std::to_string(most) +
                                        " are the limit; raise it for the import (section "
                                        "[limits]). Nothing was imported");
    };
    if (one.session.messages > limits.messages_max)
        return too_large("messages", one.session.messages, limits.messages_max);
    const uint64_t bytes = std::max<uint64_t>(one.session.bytes, one.session.system.size());
    if (bytes > limits.session_bytes_max)
        return too_large("bytes", bytes, limits.session_bytes_max);
    return {};
}

/// Whether each owner may have so many more sessions.
Expected<void> check_counts(SessionStore& store, const std::vector<const SessionRows*>& added,
                            const SessionLimits& limits) {
    std::map<std::string, uint64_t> more;
    for (const SessionRows* one : added) ++more[one->session.owner];
    for (const auto& [owner, count] : more) {
        const auto there = store.count(owner);
        if (!there) return std::unexpected(there.error());
        if (*there + count > limits.sessions_max)
            return fail(Code::TooLarge, "there are " + std::to_string(*there) +
                                            " sessions and would be " + std::to_string(count) +
                                            " more; limits.sessions_max is " +
                                            std::to_string(limits.sessions_max) +
                                            ": raise it for the import. Nothing was imported");
    }
    return {};
}

}  // namespace

Expected<Rows> read_all(SessionStore& store, std::optional<std::string_view> owner) {
    const auto sessions = store.list({.owner = owner});
    if (!sessions) return std::unexpected(sessions.error());
    Rows out;
    for (const Session& session : *sessions) {
        const auto links = store.links(session.id);
        if (!links) return std::unexpected(links.error());
        std::vector<std::string> ids;
        for (const MessageLink& link : *links) ids.push_back(link.id);
        auto messages = store.messages(session.id, ids);
        if (!messages) return std::unexpected(messages.error());
        auto rows = std::make_shared<SessionRows>();
        rows->session = session;
        for (StoredMessage& message : *messages)
            rows->messages.push_back(std::make_shared<const StoredMessage>(std::move(message)));
        out.emplace(session.id, std::move(rows));
    }
    return out;
}

Expected<Imported> import_sessions(SessionStore& store, const Rows& rows,
                                   std::optional<std::string_view> owner,
                                   const SessionLimits& limits) {
    Imported out;
    std::vector<SessionRows> all;
    for (const auto& [id, one] : rows) {
        const auto known = store.session(id);
        if (!known) return std::unexpected(known.error());
        if (*known) {
            out.there.push_back(id);
            continue;
        }
        if (auto checked = check_limits(*one, limits); !checked)
            return std::unexpected(checked.error());
        all.push_back(*one);
        if (owner) all.back().session.owner = *owner;
    }
    std::vector<const SessionRows*> order;
    for (const SessionRows& one : all) order.push_back(&one);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
        return a->session.last_change < b->session.last_change;
    });
    if (auto checked = check_counts(store, order, limits); !checked)
        return std::unexpected(checked.error());
    const auto last = store.last_change();
    if (!last) return std::unexpected(last.error());
    StoreChanges changes;
    for (const SessionRows* one : order) {
        Session session = one->session;
        session.last_change = *last + ++out.sessions;
        out.messages += session.messages;
        for (const auto& message : one->messages)
            changes.messages.push_back({session.id, *message});
        changes.sessions.push_back(std::move(session));
    }
    if (!changes.sessions.empty())
        if (auto stored = store.apply(changes); !stored) return std::unexpected(stored.error());
    return out;
}

}  // namespace dunlin
