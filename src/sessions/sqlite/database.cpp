#include "sessions/sqlite/database.h"

#include <sqlite3.h>

#include "base/check.h"

namespace dunlin {
namespace {

constexpr int kBusyMs = 5000;

std::unexpected<Error> sqlite_error(const std::string& path, sqlite3* db, int code) {
    const std::string why = db == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db);
    switch (code & 0xff) {
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return fail(Code::Corrupt,
                        path + " is damaged or no database (" + why +
                            "); nothing in it was changed. Put a copy back, or move it away "
                            "together with the files -wal and -shm beside it to begin anew; "
                            "sqlite3's .recover reads what can still be read");
        case SQLITE_FULL:
            return fail(Code::DiskFull,
                        "cannot write " + path + ": the disk is full; make room on it");
        case SQLITE_BUSY:
            return fail(Code::Io, path + " is locked by another program");
        default:
            break;
    }
    const bool unsure = code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
    return fail(unsure ? Code::DeviceLost : Code::Io, "cannot read or write " + path + ": " + why);
}

}  // namespace

Statement::~Statement() {
    rewind();
}

Statement& Statement::bind(std::string_view text) {
    const int code = sqlite3_bind_text64(statement_, ++bound_, text.empty() ? "" : text.data(),
                                         text.size(), SQLITE_STATIC, SQLITE_UTF8);
    if (failed_ == 0) failed_ = code;
    return *this;
}

Statement& Statement::bind(int64_t number) {
    const int code = sqlite3_bind_int64(statement_, ++bound_, number);
    if (failed_ == 0) failed_ = code;
    return *this;
}

Statement& Statement::bind_or_null(std::string_view text) {
    if (!text.empty()) return bind(text);
    const int code = sqlite3_bind_null(statement_, ++bound_);
    if (failed_ == 0) failed_ = code;
    return *this;
}

Statement& Statement::bind_pointer(const void* pointer, const char* type) {
    const int code =
        sqlite3_bind_pointer(statement_, ++bound_, const_cast<void*>(pointer), type, nullptr);
    if (failed_ == 0) failed_ = code;
    return *this;
}

void Statement::rewind() {
    // It repeats the error of the last step, which has been told already.
    static_cast<void>(sqlite3_reset(statement_));
    sqlite3_clear_bindings(statement_);
    bound_ = 0;
    failed_ = 0;
}

Expected<bool> Statement::step() {
    const int code = failed_ != 0 ? failed_ : sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return sqlite_error(path_, db_, code);
}

Expected<void> Statement::run() {
    while (true) {
        const auto row = step();
        if (!row) return std::unexpected(row.error());
        if (!*row) return {};
    }
}

std::string Statement::text(int column) const {
    const auto* data = sqlite3_column_text(statement_, column);
    const auto bytes = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
    return data == nullptr ? "" : std::string(reinterpret_cast<const char*>(data), bytes);
}

int64_t Statement::number(int column) const {
    return sqlite3_column_int64(statement_, column);
}

void Database::Close::operator()(sqlite3* db) const {
    sqlite3_close_v2(db);
}

void Database::Finalize::operator()(sqlite3_stmt* statement) const {
    sqlite3_finalize(statement);
}

Database::Database(std::unique_ptr<std::string> path, sqlite3* db)
    : path_(std::move(path)), db_(db) {}

Expected<Database> Database::open(const std::string& path) {
    sqlite3* db = nullptr;
    const int code =
        sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    Database out(std::make_unique<std::string>(path), db);
    if (code != SQLITE_OK) return sqlite_error(path, db, code);
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, kBusyMs);
    // The file may come from anywhere: what its schema says must not run code.
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    return out;
}

Expected<void> Database::run(const char* sql) {
    const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return sqlite_error(*path_, db_.get(), code);
    return {};
}

Expected<int64_t> Database::number(const std::string& sql) {
    const auto statement = prepare(sql);
    if (!statement) return std::unexpected(statement.error());
    const auto row = (*statement)->step();
    if (!row) return std::unexpected(row.error());
    return *row ? (*statement)->number(0) : 0;
}

Expected<std::string> Database::text(const std::string& sql) {
    const auto statement = prepare(sql);
    if (!statement) return std::unexpected(statement.error());
    const auto row = (*statement)->step();
    if (!row) return std::unexpected(row.error());
    return *row ? (*statement)->text(0) : "";
}

Expected<std::unique_ptr<Statement>> Database::prepare(const std::string& sql) {
    auto& known = statements_[sql];
    if (!known) {
        sqlite3_stmt* made = nullptr;
        const int code = sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()),
                                            SQLITE_PREPARE_PERSISTENT, &made, nullptr);
        if (code != SQLITE_OK) return sqlite_error(*path_, db_.get(), code);
        known.reset(made);
    }
    CHECK(sqlite3_stmt_busy(known.get()) == 0);
    return std::make_unique<Statement>(*path_, db_.get(), known.get());
}

void Database::roll_back() {
    if (sqlite3_get_autocommit(db_.get()) != 0) return;  // SQLite has done it itself
    static_cast<void>(run("ROLLBACK"));
}

}  // namespace dunlin
