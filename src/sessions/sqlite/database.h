#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace dunlin {

/// One use of a prepared statement; ready for the next one when it goes. Texts that are bound must
/// live until then.
class Statement {
 public:
    Statement(const std::string& path, sqlite3* db, sqlite3_stmt* statement)
        : path_(path), db_(db), statement_(statement) {}
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    /// The next parameter; the first call binds ?1.
    Statement& bind(std::string_view text);
    Statement& bind(int64_t number);
    /// NULL where the text is empty.
    Statement& bind_or_null(std::string_view text);
    /// For functions that read it with sqlite3_value_pointer.
    Statement& bind_pointer(const void* pointer, const char* type);
    void rewind();  // to bind and run it again

    /// Whether there is a row.
    Expected<bool> step();
    /// Runs it to its end, past any rows.
    Expected<void> run();
    std::string text(int column) const;
    int64_t number(int column) const;

 private:
    const std::string& path_;
    sqlite3* db_;
    sqlite3_stmt* statement_;
    int bound_ = 0;
    int failed_ = 0;  // the first code of a bind() that failed
};

/// A connection to a database file. Not thread-safe.
/// Errors of all calls: Io; Corrupt where the file is damaged or no database; DeviceLost where the
/// disk failed to store what had been written, after which nobody knows what it has.
class Database {
 public:
    /// Opens the file, which must be there; it may be empty.
    static Expected<Database> open(const std::string& path);

    Expected<void> run(const char* sql);
    /// The first column of the first row.
    Expected<int64_t> number(const std::string& sql);
    Expected<std::string> text(const std::string& sql);
    /// Prepared once for each text. One use at a time.
    Expected<std::unique_ptr<Statement>> prepare(const std::string& sql);
    /// BEGIN IMMEDIATE, then `work`, then COMMIT; ROLLBACK where one of them fails.
    template <class Work>
    Expected<void> transaction(Work&& work) {
        if (auto begun = run("BEGIN IMMEDIATE"); !begun) return begun;
        auto done = work();
        if (done) done = run("COMMIT");
        if (!done) roll_back();
        return done;
    }
    sqlite3* handle() const { return db_.get(); }
    const std::string& path() const { return *path_; }

 private:
    struct Close {
        void operator()(sqlite3* db) const;
    };
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    Database(std::unique_ptr<std::string> path, sqlite3* db);
    void roll_back();

    std::unique_ptr<std::string> path_;  // stays where it is, for statements
    std::unique_ptr<sqlite3, Close> db_;
    std::map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
};

}  // namespace dunlin
