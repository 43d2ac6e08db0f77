#include <algorithm>
#include <mutex>

#include "sessions/sessions.h"
#include "sessions/state.h"

namespace dunlin {

Expected<HistoryPage> Sessions::history(std::string_view owner, std::string_view id, uint32_t limit,
                                        std::string_view before) {
    const std::shared_lock lock(state_->mutex);
    auto session = state_->owned(owner, id);
    if (!session) return std::unexpected(session.error());
    const auto tree = state_->tree(*session);
    if (!tree) return std::unexpected(tree.error());
    auto path = tree->path(session->head);
    if (!before.empty()) {
        const auto at = std::find(path.begin(), path.end(), before);
        if (at == path.end()) return no_such_message("before");
        path.erase(at, path.end());
    }
    HistoryPage page;
    page.session = std::move(*session);
    page.more = path.size() > limit;
    if (page.more) path.erase(path.begin(), path.end() - limit);
    auto messages = state_->store->messages(page.session.id, path);
    if (!messages) return std::unexpected(messages.error());
    for (StoredMessage& message : *messages) {
        auto siblings = tree->siblings(message.id);
        page.messages.push_back({std::move(message), std::move(siblings)});
    }
    return page;
}

Expected<Session> Sessions::rollback(std::string_view owner, std::string_view id, uint32_t count) {
    const std::lock_guard lock(state_->mutex);
    auto session = state_->owned(owner, id);
    if (!session) return session;
    const auto tree = state_->tree(*session);
    if (!tree) return std::unexpected(tree.error());
    const auto path = tree->path(session->head);
    if (count > path.size())
        return fail(Code::Invalid,
                    "'count' is " + std::to_string(count) + ", and the shown branch has " +
                        std::to_string(path.size()) + " messages",
                    "count");
    session->head = count == path.size() ? "" : path[path.size() - count - 1];
    state_->touch(*session);
    if (auto stored = state_->store_session(*session); !stored)
        return std::unexpected(stored.error());
    return session;
}

Expected<Session> Sessions::show(std::string_view owner, std::string_view id,
                                 std::string_view message) {
    const std::lock_guard lock(state_->mutex);
    auto session = state_->owned(owner, id);
    if (!session) return session;
    const auto tree = state_->tree(*session);
    if (!tree) return std::unexpected(tree.error());
    if (tree->find(message) == nullptr) return no_such_message("message_id");
    session->head = tree->newest_end(message);
    state_->touch(*session);
    if (auto stored = state_->store_session(*session); !stored)
        return std::unexpected(stored.error());
    return session;
}

}  // namespace dunlin
