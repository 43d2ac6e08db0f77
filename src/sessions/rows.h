#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sessions/session_store.h"

namespace dunlin {

/// One session with its messages in their order. Shared between versions of Rows, so it never
/// changes.
struct SessionRows {
    Session session;
    std::vector<std::shared_ptr<const StoredMessage>> messages;
};

/// Everything that a store holds, in memory.
using Rows = std::map<std::string, std::shared_ptr<const SessionRows>, std::less<>>;

/// A copy with the changes made; what they do not touch is shared.
Rows with_changes(const Rows& rows, const StoreChanges& changes);

/// A store that holds all rows in memory. Whoever reads works on the version that was there when it
/// began, so a long search holds nobody up.
class RowsStore : public SessionStore {
 public:
    explicit RowsStore(Rows rows) : rows_(std::make_shared<const Rows>(std::move(rows))) {}

    Expected<std::optional<Session>> session(std::string_view id) final;
    Expected<std::vector<Session>> list(const StoreQuery& query) final;
    Expected<uint64_t> count(std::string_view owner) final;
    Expected<int64_t> last_change() final;
    Expected<std::vector<MessageLink>> links(std::string_view session) final;
    Expected<std::vector<StoredMessage>> messages(std::string_view session,
                                                  std::span<const std::string> ids) final;
    Expected<std::vector<std::string>> sessions_with(MessageStatus status) final;
    Expected<void> apply(const StoreChanges& changes) final;

 private:
    /// Makes the next version durable, before anybody can read it. One call at a time.
    virtual Expected<void> keep(const Rows& next) = 0;

    std::shared_ptr<const Rows> rows() const {
        const std::lock_guard lock(mutex_);
        return rows_;
    }
    mutable std::mutex mutex_;  // of rows_
    std::shared_ptr<const Rows> rows_;
    std::mutex writing_;
};

}  // namespace dunlin
