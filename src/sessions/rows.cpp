#include "sessions/rows.h"

#include <algorithm>
#include <unordered_map>

#include "base/check.h"
#include "sessions/text_match.h"

namespace dunlin {
namespace {

using MessagePtr = std::shared_ptr<const StoredMessage>;

std::vector<MessagePtr>::iterator find_message(std::vector<MessagePtr>& messages,
                                               std::string_view id) {
    return std::find_if(messages.begin(), messages.end(),
                        [&](const MessagePtr& one) { return one->id == id; });
}

bool matches(const SessionRows& rows, const TextMatch& match) {
    return match.in(rows.session.title) ||
           std::any_of(rows.messages.begin(), rows.messages.end(),
                       [&](const MessagePtr& one) { return match.in(one->content); });
}

}  // namespace

Rows with_changes(const Rows& rows, const StoreChanges& changes) {
    Rows next = rows;
    for (const std::string& id : changes.removed_sessions) next.erase(id);
    std::unordered_map<std::string_view, std::shared_ptr<SessionRows>> changed;
    const auto open = [&](const std::string& id) -> SessionRows& {
        auto& copy = changed[id];
        if (!copy) {
            const auto found = next.find(id);
            copy =
                std::make_shared<SessionRows>(found == next.end() ? SessionRows{} : *found->second);
            next[id] = copy;
        }
        return *copy;
    };
    for (const Session& session : changes.sessions) open(session.id).session = session;
    for (const auto& [session, message] : changes.removed_messages) {
        auto& messages = open(session).messages;
        if (const auto at = find_message(messages, message); at != messages.end())
            messages.erase(at);
    }
    for (const auto& [session, message] : changes.messages) {
        SessionRows& to = open(session);
        CHECK(!to.session.id.empty());
        auto one = std::make_shared<const StoredMessage>(message);
        if (const auto at = find_message(to.messages, message.id); at != to.messages.end())
            *at = std::move(one);
        else
            to.messages.push_back(std::move(one));
    }
    return next;
}

Expected<std::optional<Session>> RowsStore::session(std::string_view id) {
    const auto all = rows();
    const auto found = all->find(id);
    if (found == all->end()) return std::nullopt;
    return found->second->session;
}

Expected<std::vector<Session>> RowsStore::list(const StoreQuery& query) {
    const auto all = rows();
    const TextMatch match(query.text);
    std::vector<const SessionRows*> found;
    for (const auto& [id, one] : *all) {
        const Session& session = one->session;
        if ((!query.owner || session.owner == *query.owner) &&
            session.updated_unix_s >= query.updated_from_unix_s &&
            session.updated_unix_s < query.updated_below_unix_s &&
            session.last_change < query.below_change)
            found.push_back(one.get());
    }
    std::sort(found.begin(), found.end(), [](const auto* a, const auto* b) {
        return a->session.last_change > b->session.last_change;
    });
    std::vector<Session> out;
    for (const SessionRows* one : found) {
        if (out.size() == query.limit) break;
        if (matches(*one, match)) out.push_back(one->session);
    }
    return out;
}

Expected<uint64_t> RowsStore::count(std::string_view owner) {
    const auto all = rows();
    return static_cast<uint64_t>(std::count_if(all->begin(), all->end(), [&](const auto& one) {
        return one.second->session.owner == owner;
    }));
}

Expected<int64_t> RowsStore::last_change() {
    int64_t last = 0;
    const auto all = rows();
    for (const auto& [id, one] : *all) last = std::max(last, one->session.last_change);
    return last;
}

Expected<std::vector<MessageLink>> RowsStore::links(std::string_view session) {
    std::vector<MessageLink> out;
    const auto all = rows();
    const auto found = all->find(session);
    if (found == all->end()) return out;
    for (const MessagePtr& one : found->second->messages)
        out.push_back({one->id, one->parent, one->role, one->status, one->content.size()});
    return out;
}

Expected<std::vector<StoredMessage>> RowsStore::messages(std::string_view session,
                                                         std::span<const std::string> ids) {
    std::vector<StoredMessage> out;
    const auto all = rows();
    const auto found = all->find(session);
    if (found == all->end()) return out;
    std::unordered_map<std::string_view, const StoredMessage*> by_id;
    for (const MessagePtr& one : found->second->messages) by_id.emplace(one->id, one.get());
    for (const std::string& id : ids)
        if (const auto one = by_id.find(id); one != by_id.end()) out.push_back(*one->second);
    return out;
}

Expected<std::vector<std::string>> RowsStore::sessions_with(MessageStatus status) {
    std::vector<std::string> out;
    const auto all = rows();
    for (const auto& [id, one] : *all)
        if (std::any_of(one->messages.begin(), one->messages.end(),
                        [&](const MessagePtr& message) { return message->status == status; }))
            out.push_back(id);
    return out;
}

Expected<void> RowsStore::apply(const StoreChanges& changes) {
    const std::lock_guard lock(writing_);
    auto next = std::make_shared<const Rows>(with_changes(*rows(), changes));
    if (auto kept = keep(*next); !kept) return kept;
    const std::lock_guard swapping(mutex_);
    rows_ = std::move(next);
    return {};
}

}  // namespace dunlin
