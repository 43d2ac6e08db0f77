// Two connections to one file in write-ahead mode: one that writes and reads single rows, and one
// that lists and searches, so that a long search holds nobody up. Each has its own mutex.
#include <mutex>

#include <sqlite3.h>

#include "sessions/sqlite/schema.h"
#include "sessions/stores.h"
#include "sessions/text_match.h"

namespace dunlin {
namespace {

constexpr const char* kMatchType = "TextMatch";

#define SESSION_COLUMNS                                                                           \
    "id, owner, title, model, parameters, head, created, updated, last_change, messages, bytes, " \
    "system"
#define MESSAGE_COLUMNS                                                                           \
    "id, parent, role, status, model, finish_reason, prompt_tokens, completion_tokens, created, " \
    "content"

Session read_session(const Statement& row) {
    Session out;
    out.id = row.text(0);
    out.owner = row.text(1);
    out.title = row.text(2);
    out.model = row.text(3);
    out.parameters = row.text(4);
    out.head = row.text(5);
    out.created_unix_s = row.number(6);
    out.updated_unix_s = row.number(7);
    out.last_change = row.number(8);
    out.messages = static_cast<uint32_t>(row.number(9));
    out.bytes = static_cast<uint64_t>(row.number(10));
    out.system = row.text(11);
    return out;
}

Expected<MessageStatus> read_status(const std::string& path, const std::string& name) {
    if (const auto status = message_status(name)) return *status;
    return fail(Code::Corrupt, path + " has a message with the status \"" + name +
                                   "\", which there is not; put a copy of the file back");
}

/// The SQL function matches(text, pointer to a TextMatch).
void matches_function(sqlite3_context* context, int, sqlite3_value** values) {
    const auto* match = static_cast<const TextMatch*>(sqlite3_value_pointer(values[1], kMatchType));
    const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(values[0]));
    const auto bytes = static_cast<size_t>(sqlite3_value_bytes(values[0]));
    const bool found = match != nullptr && text != nullptr && match->in({text, bytes});
    sqlite3_result_int(context, found ? 1 : 0);
}

class SqliteStore final : public SessionStore {
 public:
    SqliteStore(Database main, Database lists) : main_(std::move(main)), lists_(std::move(lists)) {}

    Expected<std::optional<Session>> session(std::string_view id) override;
    Expected<std::vector<Session>> list(const StoreQuery& query) override;
    Expected<uint64_t> count(std::string_view owner) override;
    Expected<int64_t> last_change() override;
    Expected<std::vector<MessageLink>> links(std::string_view session) override;
    Expected<std::vector<StoredMessage>> messages(std::string_view session,
                                                  std::span<const std::string> ids) override;
    Expected<std::vector<std::string>> sessions_with(MessageStatus status) override;
    Expected<void> apply(const StoreChanges& changes) override;

 private:
    Expected<void> remove_rows(const StoreChanges& changes);
    Expected<void> put_sessions(const StoreChanges& changes);
    Expected<void> put_messages(const StoreChanges& changes);

    std::mutex main_mutex_, lists_mutex_;
    Database main_, lists_;
    bool is_unsure_ = false;  // the disk may not have what was written
};

Expected<std::optional<Session>> SqliteStore::session(std::string_view id) {
    const std::lock_guard lock(main_mutex_);
    const auto find = main_.prepare("SELECT " SESSION_COLUMNS " FROM sessions WHERE id = ?1");
    if (!find) return std::unexpected(find.error());
    const auto row = (*find)->bind(id).step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return std::nullopt;
    return read_session(**find);
}

Expected<std::vector<Session>> SqliteStore::list(const StoreQuery& query) {
    std::string sql = "SELECT " SESSION_COLUMNS
                      " FROM sessions AS s WHERE last_change < ?1 AND updated >= ?2 AND updated < "
                      "?3";
    const TextMatch match(query.text);
    if (query.owner) sql += " AND owner = ?4";
    if (!query.text.empty())
        sql +=
            " AND (matches(title, ?5) OR EXISTS(SELECT 1 FROM messages WHERE session = s.id AND "
            "matches(content, ?5)))";
    sql += " ORDER BY last_change DESC LIMIT ?6";
    const std::lock_guard lock(lists_mutex_);
    const auto find = lists_.prepare(sql);
    if (!find) return std::unexpected(find.error());
    (*find)
        ->bind(query.below_change)
        .bind(query.updated_from_unix_s)
        .bind(query.updated_below_unix_s)
        .bind(query.owner.value_or(""))
        .bind_pointer(&match, kMatchType)
        .bind(int64_t{query.limit});
    std::vector<Session> out;
    while (true) {
        const auto row = (*find)->step();
        if (!row) return std::unexpected(row.error());
        if (!*row) return out;
        out.push_back(read_session(**find));
    }
}

Expected<uint64_t> SqliteStore::count(std::string_view owner) {
    const std::lock_guard lock(main_mutex_);
    const auto find = main_.prepare("SELECT count(*) FROM sessions WHERE owner = ?1");
    if (!find) return std::unexpected(find.error());
    const auto row = (*find)->bind(owner).step();
    if (!row) return std::unexpected(row.error());
    return static_cast<uint64_t>((*find)->number(0));
}

Expected<int64_t> SqliteStore::last_change() {
    const std::lock_guard lock(main_mutex_);
    return main_.number("SELECT coalesce(max(last_change), 0) FROM sessions");
}

Expected<std::vector<MessageLink>> SqliteStore::links(std::string_view session) {
    const std::lock_guard lock(main_mutex_);
    const auto find = main_.prepare(
        "SELECT id, parent, role, status, bytes FROM messages WHERE session = ?1 ORDER BY "
        "position");
    if (!find) return std::unexpected(find.error());
    (*find)->bind(session);
    std::vector<MessageLink> out;
    while (true) {
        const auto row = (*find)->step();
        if (!row) return std::unexpected(row.error());
        if (!*row) return out;
        const auto status = read_status(main_.path(), (*find)->text(3));
        if (!status) return std::unexpected(status.error());
        out.push_back({(*find)->text(0), (*find)->text(1), (*find)->text(2), *status,
                       static_cast<uint64_t>((*find)->number(4))});
    }
}

Expected<std::vector<StoredMessage>> SqliteStore::messages(std::string_view session,
                                                           std::span<const std::string> ids) {
    const std::lock_guard lock(main_mutex_);
    const auto find =
        main_.prepare("SELECT " MESSAGE_COLUMNS " FROM messages WHERE session = ?1 AND id = ?2");
    if (!find) return std::unexpected(find.error());
    std::vector<StoredMessage> out;
    for (const std::string& id : ids) {
        Statement& one = **find;
        one.rewind();
        const auto row = one.bind(session).bind(id).step();
        if (!row) return std::unexpected(row.error());
        if (!*row) continue;
        const auto status = read_status(main_.path(), one.text(3));
        if (!status) return std::unexpected(status.error());
        out.push_back({.id = one.text(0),
                       .parent = one.text(1),
                       .role = one.text(2),
                       .content = one.text(9),
                       .model = one.text(4),
                       .finish_reason = one.text(5),
                       .status = *status,
                       .prompt_tokens = static_cast<uint32_t>(one.number(6)),
                       .completion_tokens = static_cast<uint32_t>(one.number(7)),
                       .created_unix_s = one.number(8)});
    }
    return out;
}

Expected<std::vector<std::string>> SqliteStore::sessions_with(MessageStatus status) {
    const std::lock_guard lock(main_mutex_);
    // As a literal, so that SQLite sees that its partial index serves.
    const std::string sql = "SELECT DISTINCT session FROM messages WHERE status = '" +
                            std::string(to_string(status)) + "'";
    const auto find = main_.prepare(sql);
    if (!find) return std::unexpected(find.error());
    std::vector<std::string> out;
    while (true) {
        const auto row = (*find)->step();
        if (!row) return std::unexpected(row.error());
        if (!*row) return out;
        out.push_back((*find)->text(0));
    }
}

Expected<void> SqliteStore::remove_rows(const StoreChanges& changes) {
    const auto sessions = main_.prepare("DELETE FROM sessions WHERE id = ?1");
    if (!sessions) return std::unexpected(sessions.error());
    for (const std::string& id : changes.removed_sessions) {
        (*sessions)->rewind();
        if (auto removed = (*sessions)->bind(id).run(); !removed) return removed;
    }
    const auto messages = main_.prepare("DELETE FROM messages WHERE session = ?1 AND id = ?2");
    if (!messages) return std::unexpected(messages.error());
    for (const auto& [session, message] : changes.removed_messages) {
        (*messages)->rewind();
        if (auto removed = (*messages)->bind(session).bind(message).run(); !removed) return removed;
    }
    return {};
}

Expected<void> SqliteStore::put_sessions(const StoreChanges& changes) {
    const auto put = main_.prepare(
        "INSERT INTO sessions(" SESSION_COLUMNS
        ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT(id) DO UPDATE SET "
        "owner = ?2, title = ?3, model = ?4, parameters = ?5, head = ?6, created = ?7, updated = "
        "?8, last_change = ?9, messages = ?10, bytes = ?11, system = ?12");
    if (!put) return std::unexpected(put.error());
    for (const Session& one : changes.sessions) {
        (*put)->rewind();
        const auto stored = (*put)
                                ->bind(one.id)
                                .bind(one.owner)
                                .bind(one.title)
                                .bind(one.model)
                                .bind(one.parameters)
                                .bind(one.head)
                                .bind(one.created_unix_s)
                                .bind(one.updated_unix_s)
                                .bind(one.last_change)
                                .bind(int64_t{one.messages})
                                .bind(static_cast<int64_t>(one.bytes))
                                .bind(one.system)
                                .run();
        if (!stored) return stored;
    }
    return {};
}

Expected<void> SqliteStore::put_messages(const StoreChanges& changes) {
    const auto put = main_.prepare(
        "INSERT INTO messages(session, bytes, " MESSAGE_COLUMNS
        ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT(session, id) DO "
        "UPDATE SET bytes = ?2, parent = ?4, role = ?5, status = ?6, model = ?7, finish_reason = "
        "?8, prompt_tokens = ?9, completion_tokens = ?10, created = ?11, content = ?12");
    if (!put) return std::unexpected(put.error());
    for (const auto& [session, one] : changes.messages) {
        (*put)->rewind();
        const auto stored = (*put)
                                ->bind(session)
                                .bind(static_cast<int64_t>(one.content.size()))
                                .bind(one.id)
                                .bind_or_null(one.parent)
                                .bind(one.role)
                                .bind(to_string(one.status))
                                .bind(one.model)
                                .bind(one.finish_reason)
                                .bind(int64_t{one.prompt_tokens})
                                .bind(int64_t{one.completion_tokens})
                                .bind(one.created_unix_s)
                                .bind(one.content)
                                .run();
        if (!stored) return stored;
    }
    return {};
}

Expected<void> SqliteStore::apply(const StoreChanges& changes) {
    const std::lock_guard lock(main_mutex_);
    if (is_unsure_)
        return fail(Code::Io, "the disk failed to store " + main_.path() +
                                  " before; check it and start again: until then nothing more is "
                                  "written");
    auto applied = main_.transaction([&]() -> Expected<void> {
        if (auto removed = remove_rows(changes); !removed) return removed;
        if (auto put = put_sessions(changes); !put) return put;
        return put_messages(changes);
    });
    if (!applied && applied.error().code == Code::DeviceLost) {
        is_unsure_ = true;
        applied.error().code = Code::Io;
    }
    return applied;
}

}  // namespace

Expected<std::unique_ptr<SessionStore>> open_sqlite_store(const StoreSettings& settings) {
    const std::string path = settings.folder + "/sessions.db";
    auto main = open_database(path, session_schema());
    if (!main) return std::unexpected(main.error());
    auto lists = Database::open(path);
    if (!lists) return std::unexpected(lists.error());
    const int code = sqlite3_create_function_v2(lists->handle(), "matches", 2,
                                                SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr,
                                                matches_function, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK)
        return fail(Code::Io,
                    "SQLite has no memory for a function: " + std::string(sqlite3_errstr(code)));
    return std::make_unique<SqliteStore>(std::move(*main), std::move(*lists));
}

}  // namespace dunlin
