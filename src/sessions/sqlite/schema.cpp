#include "sessions/sqlite/schema.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace dunlin {
namespace {

// Whose file this is: "dunl", in the header of the file.
constexpr int64_t kApplicationId = 0x64756e6c;

constexpr const char* kSchema[] = {
    // The content comes last: whoever reads the tree does not read it. `position` is the order in
    // which messages came.
    R"(CREATE TABLE sessions(
           id TEXT NOT NULL PRIMARY KEY,
           owner TEXT NOT NULL,
           title TEXT NOT NULL,
           model TEXT NOT NULL,
           parameters TEXT NOT NULL,
           head TEXT NOT NULL,
           created INTEGER NOT NULL,
           updated INTEGER NOT NULL,
           last_change INTEGER NOT NULL,
           messages INTEGER NOT NULL CHECK(messages >= 0),
           bytes INTEGER NOT NULL CHECK(bytes >= 0),
           system TEXT NOT NULL) STRICT;
       CREATE INDEX sessions_by_use ON sessions(owner, last_change);
       CREATE INDEX sessions_by_change ON sessions(last_change);
       CREATE INDEX sessions_by_age ON sessions(updated);
       CREATE TABLE messages(
           position INTEGER NOT NULL PRIMARY KEY,
           session TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
           id TEXT NOT NULL,
           parent TEXT,
           role TEXT NOT NULL,
           status TEXT NOT NULL,
           model TEXT NOT NULL,
           finish_reason TEXT NOT NULL,
           prompt_tokens INTEGER NOT NULL,
           completion_tokens INTEGER NOT NULL,
           created INTEGER NOT NULL,
           bytes INTEGER NOT NULL,
           content TEXT NOT NULL,
           UNIQUE(session, id),
           FOREIGN KEY(session, parent) REFERENCES messages(session, id)
               DEFERRABLE INITIALLY DEFERRED) STRICT;
       CREATE INDEX messages_in_order ON messages(session, position);
       CREATE INDEX messages_by_parent ON messages(session, parent);
       CREATE INDEX messages_being_written ON messages(session) WHERE status = 'writing';)",
};

/// Makes an empty file for its user only, before SQLite makes one for everybody; the files that
/// SQLite puts beside it get the same rights.
Expected<void> make_file(const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail(Code::Io, "cannot open " + path + ": " + std::strerror(errno));
    close(fd);
    return {};
}

Expected<void> copy_to(Database& database, const std::string& copy) {
    unlink(copy.c_str());
    if (auto made = make_file(copy); !made) return made;
    const auto statement = database.prepare("VACUUM INTO ?1");
    if (!statement) return std::unexpected(statement.error());
    if (auto copied = (*statement)->bind(copy).run(); !copied) return copied;
    const int fd = open(copy.c_str(), O_RDONLY | O_CLOEXEC);
    const bool stored = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    if (!stored) return fail(Code::Io, "cannot write " + copy + ": " + std::strerror(errno));
    return {};
}

/// How a connection works; none of it is in the file, but for the write-ahead log.
Expected<void> set_up(Database& database) {
    const auto mode = database.text("PRAGMA journal_mode = WAL");
    if (!mode) return std::unexpected(mode.error());
    if (*mode != "wal")
        return fail(Code::Io, database.path() +
                                  " lies on a file system that has no shared memory, which SQLite "
                                  "needs; choose another folder with --data-dir (server.data_dir)");
    return database.run(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;");
}

Expected<void> migrate(Database& database, std::span<const char* const> schema, int64_t version) {
    if (version > 0)
        if (auto copied =
                copy_to(database, database.path() + ".v" + std::to_string(version) + ".bak");
            !copied)
            return copied;
    return database.transaction([&]() -> Expected<void> {
        for (size_t i = static_cast<size_t>(version); i < schema.size(); ++i)
            if (auto changed = database.run(schema[i]); !changed) return changed;
        const std::string last = "PRAGMA application_id = " + std::to_string(kApplicationId) +
                                 "; PRAGMA user_version = " + std::to_string(schema.size());
        return database.run(last.c_str());
    });
}

/// The version of the file, 0 for an empty one.
Expected<int64_t> version_of(Database& database, size_t known) {
    const auto tables = database.number("SELECT count(*) FROM sqlite_schema");
    if (!tables) return tables;
    const auto application = database.number("PRAGMA application_id");
    const auto version = database.number("PRAGMA user_version");
    if (!application || !version) return application ? version : application;
    if (*tables == 0 && *version == 0) return 0;
    if (*application != kApplicationId || *version < 1)
        return fail(Code::Corrupt, database.path() +
                                       " is the database of another program; it was left as it is. "
                                       "Choose another folder with --data-dir (server.data_dir)");
    if (std::cmp_greater(*version, known))
        return fail(Code::Unsupported,
                    database.path() + " has format " + std::to_string(*version) +
                        ", which a newer version of Dunlin wrote; this one knows " +
                        std::to_string(known) +
                        ". Start the newer one, or choose another folder with --data-dir "
                        "(server.data_dir)");
    return version;
}

}  // namespace

std::span<const char* const> session_schema() {
    return kSchema;
}

Expected<Database> open_database(const std::string& path, std::span<const char* const> schema) {
    if (auto made = make_file(path); !made) return std::unexpected(made.error());
    auto database = Database::open(path);
    if (!database) return database;
    // Nothing is written before it is sure that the file is ours and whole.
    const auto version = version_of(*database, schema.size());
    if (!version) return std::unexpected(version.error());
    const auto whole = database->text("PRAGMA quick_check(1)");
    if (!whole) return std::unexpected(whole.error());
    if (*whole != "ok")
        return fail(Code::Corrupt, path + " is damaged (" + *whole +
                                       "); nothing in it was changed. Put a copy back, or move it "
                                       "away together with the files -wal and -shm beside it to "
                                       "begin anew; sqlite3's .recover reads what can still be "
                                       "read");
    if (auto ready = set_up(*database); !ready) return std::unexpected(ready.error());
    if (std::cmp_less(*version, schema.size()))
        if (auto migrated = migrate(*database, schema, *version); !migrated)
            return std::unexpected(migrated.error());
    return database;
}

}  // namespace dunlin
