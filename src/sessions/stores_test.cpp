// What single stores promise beyond the common suite: their files, old and damaged ones too.
#include <csignal>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "sessions/file_format.h"
#include "sessions/sqlite/schema.h"
#include "sessions/store_fixture.h"

namespace dunlin {
namespace {

using testing::HasSubstr;

std::string read_all(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_all(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

Expected<std::unique_ptr<SessionStore>> open_in(const TestFolder& folder, const char* name) {
    return open_session_store(name, {folder.path()});
}

/// A session with some turns, stored.
void fill(const TestFolder& folder, const char* name, int turns = 3) {
    auto store = open_in(folder, name);
    ASSERT_TRUE(store) << store.error().message;
    auto sessions = *Sessions::open(std::move(*store), {}, system_clock());
    const Session session = *sessions->create("", {});
    for (int i = 0; i < turns; ++i) {
        const auto plan =
            sessions->plan("", {TurnPlace::What::Say, session.id, "", std::string(2000, 'x')});
        ASSERT_TRUE(sessions->begin(*plan));
    }
}

class KeepingStore : public testing::TestWithParam<std::string> {
 protected:
    std::string file() const {
        return folder_.path() + (GetParam() == "json" ? "/sessions.json" : "/sessions.db");
    }
    TestFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(Stores, KeepingStore, testing::Values("sqlite", "json"), store_name);

TEST_P(KeepingStore, FilesAreForTheirUserOnly) {
    auto store = open_in(folder_, GetParam().c_str());
    ASSERT_TRUE(store);
    const auto sessions = *Sessions::open(std::move(*store), {}, system_clock());
    ASSERT_TRUE(sessions->create("", {}));
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
        struct stat status{};
        ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0600) << entry.path();
    }
}

TEST_P(KeepingStore, WhatIsNotItsFileIsRefusedAndLeftAlone) {
    const std::string nonsense[] = {"not a database", std::string(4096, '\0'), "{\"a\": 1}",
                                    "SQLite format 3 but no more", "[]"};
    for (const std::string& text : nonsense) {
        write_all(file(), text);
        const auto store = open_in(folder_, GetParam().c_str());
        ASSERT_FALSE(store) << text;
        EXPECT_EQ(store.error().code, Code::Corrupt);
        EXPECT_THAT(store.error().message, HasSubstr(file()));
        EXPECT_EQ(read_all(file()), text);
    }
}

TEST_P(KeepingStore, ADamagedFileIsNeverTakenForAnEmptyOne) {
    fill(folder_, GetParam().c_str(), 40);
    const std::string whole = read_all(file());
    ASSERT_GT(whole.size(), 80'000);
    for (size_t bytes = 100; bytes < whole.size(); bytes += whole.size() / 23) {
        write_all(file(), whole.substr(0, bytes));
        const auto store = open_in(folder_, GetParam().c_str());
        ASSERT_FALSE(store) << bytes;
        EXPECT_EQ(store.error().code, Code::Corrupt);
        EXPECT_EQ(read_all(file()).size(), bytes);
    }
    write_all(file(), whole);
    EXPECT_TRUE(open_in(folder_, GetParam().c_str()));
}

/// While this lives no file can grow beyond so many bytes: what a full disk looks like.
class SmallFiles {
 public:
    explicit SmallFiles(rlim_t bytes) {
        old_ = std::signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &limit_);
        const rlimit small{bytes, limit_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
    }
    ~SmallFiles() {
        setrlimit(RLIMIT_FSIZE, &limit_);
        std::signal(SIGXFSZ, old_);
    }
    SmallFiles(const SmallFiles&) = delete;
    SmallFiles& operator=(const SmallFiles&) = delete;

 private:
    rlimit limit_{};
    void (*old_)(int);
};

TEST_P(KeepingStore, AFullDiskLosesNothingAndIsOverWhenThereIsRoom) {
    size_t refused = 0, kept = 0;
    {
        auto store = open_in(folder_, GetParam().c_str());
        ASSERT_TRUE(store);
        auto sessions = *Sessions::open(std::move(*store), {}, system_clock());
        const Session session = *sessions->create("", {});
        for (int round = 0; round < 60; ++round) {
            // Room for half of what comes, at another place each time.
            const SmallFiles limit(round % 2 == 0 ? 3000 + 517 * round : RLIM_INFINITY);
            const auto plan =
                sessions->plan("", {TurnPlace::What::Say, session.id, "", std::string(3000, 'x')});
            ASSERT_TRUE(plan) << plan.error().message;
            const auto begun = sessions->begin(*plan);
            if (!begun) EXPECT_EQ(begun.error().code, Code::Io) << begun.error().message;
            (begun ? kept : refused) += 1;
            EXPECT_EQ(sessions->find("", session.id)->messages, 2 * kept);
        }
    }
    EXPECT_GT(refused, 5);
    EXPECT_GE(kept, 30);
    auto store = open_in(folder_, GetParam().c_str());
    ASSERT_TRUE(store) << store.error().message;
    const auto all = (*store)->list({});
    ASSERT_EQ(all->size(), 1);
    EXPECT_EQ((*all)[0].messages, 2 * kept);
    EXPECT_EQ((*store)->links((*all)[0].id)->size(), 2 * kept);
}

TEST(SqliteStore, ANewerFormatIsRefusedAndLeftAlone) {
    TestFolder folder;
    fill(folder, "sqlite");
    const std::string path = folder.path() + "/sessions.db";
    ASSERT_TRUE(Database::open(path)->run("PRAGMA user_version = 7"));
    const auto store = open_in(folder, "sqlite");
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, Code::Unsupported);
    EXPECT_THAT(store.error().message, HasSubstr("newer"));
    EXPECT_EQ(*Database::open(path)->number("SELECT count(*) FROM messages"), 6);
}

TEST(SqliteStore, AnotherProgramsDatabaseIsRefused) {
    TestFolder folder;
    const std::string path = folder.path() + "/sessions.db";
    write_all(path, "");
    ASSERT_TRUE(Database::open(path)->run("CREATE TABLE theirs(a)"));
    EXPECT_EQ(open_in(folder, "sqlite").error().code, Code::Corrupt);
}

TEST(SqliteStore, AnOlderFormatIsCopiedAndThenMigrated) {
    TestFolder folder;
    const std::string path = folder.path() + "/x.db";
    const char* const both[] = {"CREATE TABLE a(x); INSERT INTO a VALUES(5);",
                                "ALTER TABLE a ADD COLUMN y DEFAULT 6;"};
    ASSERT_TRUE(open_database(path, std::span(both).first(1)));
    EXPECT_FALSE(std::filesystem::exists(path + ".v0.bak"));
    const char* const broken[] = {both[0], "ALTER TABLE a ADD COLUMN y DEFAULT 6; nonsense"};
    EXPECT_FALSE(open_database(path, broken));
    {
        auto old = open_database(path, std::span(both).first(1));
        ASSERT_TRUE(old) << "a migration that failed has changed nothing";
        EXPECT_FALSE(old->number("SELECT y FROM a"));
    }
    auto now = open_database(path, both);
    ASSERT_TRUE(now) << now.error().message;
    EXPECT_EQ(*now->number("SELECT x + y FROM a"), 11);
    EXPECT_EQ(*now->number("PRAGMA user_version"), 2);
    auto copy = open_database(path + ".v1.bak", std::span(both).first(1));
    ASSERT_TRUE(copy) << copy.error().message;
    EXPECT_EQ(*copy->number("SELECT x FROM a"), 5);
    struct stat status{};
    ASSERT_EQ(stat((path + ".v1.bak").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600);
}

TEST(SqliteStore, CommitsReachTheDisk) {
    TestFolder folder;
    auto database = open_database(folder.path() + "/x.db", session_schema());
    ASSERT_TRUE(database);
    EXPECT_EQ(*database->text("PRAGMA journal_mode"), "wal");
    EXPECT_EQ(*database->number("PRAGMA synchronous"), 2);
    EXPECT_EQ(*database->number("PRAGMA foreign_keys"), 1);
}

TEST(JsonStore, ThePlainFormIsKeptAsideAndBecomesTheVersionedOne) {
    TestFolder folder;
    const std::string path = folder.path() + "/sessions.json";
    const std::string plain =
        R"({"abc": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"},
           {"role": "assistant", "content": "Hello."}], "empty": []})";
    write_all(path, plain);
    const auto look = [&] {
        auto store = open_in(folder, "json");
        EXPECT_TRUE(store) << store.error().message;
        return *Sessions::open(std::move(*store), {}, system_clock());
    };
    const auto first = look()->history("", "abc", 10, "");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->session.system, "Be brief.");
    EXPECT_EQ(first->session.title, "Hi?");
    ASSERT_EQ(first->messages.size(), 2);
    EXPECT_EQ(first->messages[1].message.content, "Hello.");
    EXPECT_EQ(read_all(path + ".plain"), plain);
    EXPECT_EQ(look()->history("", "abc", 10, "")->messages[1].message.id,
              first->messages[1].message.id);
    EXPECT_EQ(look()->list("", "", 10, "")->sessions.size(), 2);
}

TEST(FileFormat, WhatIsWrongIsNamed) {
    const auto wrong = [](const std::string& text) {
        const auto file = read_sessions(text, 0);
        return file ? "nothing" : file.error().message;
    };
    const auto versioned = [&](const std::string& session) {
        return wrong(R"({"format":"dunlin.sessions","version":1,"sessions":[)" + session + "]}");
    };
    EXPECT_EQ(versioned(""), "nothing");
    EXPECT_EQ(wrong("{}"), "nothing");
    EXPECT_THAT(wrong("{"), HasSubstr("line 1"));
    EXPECT_THAT(wrong(R"({"a":[{"role":"tool","content":""}]})"),
                HasSubstr("session \"a\", message 1 must have the role"));
    EXPECT_THAT(wrong(R"({"a":[{"role":"user","content":"","name":"x"}]})"), HasSubstr("'name'"));
    EXPECT_THAT(wrong(R"({"format":"x","a":[]})"), HasSubstr("another program"));
    EXPECT_THAT(wrong(R"({"format":"dunlin.sessions","version":2,"sessions":[]})"),
                HasSubstr("newer"));
    EXPECT_THAT(wrong(R"({"format":"dunlin.sessions","sessions":[]})"), HasSubstr("version"));
    EXPECT_THAT(versioned(R"({"messages":[]})"), HasSubstr("session 1 has no 'id'"));
    EXPECT_THAT(versioned(R"({"id":"s","messages":[],"more":1})"), HasSubstr("'more'"));
    EXPECT_THAT(versioned(R"({"id":"s","messages":[],"head":"m"})"), HasSubstr("head"));
    EXPECT_THAT(versioned(R"({"id":"s","messages":[],"parameters":[]})"), HasSubstr("parameters"));
    EXPECT_THAT(versioned(R"({"id":"s","messages":[]},{"id":"s","messages":[]})"),
                HasSubstr("twice"));
    const auto message = [&](const std::string& fields) {
        return versioned(R"({"id":"s","messages":[{)" + fields + "}]}");
    };
    EXPECT_EQ(message(R"("id":"m","role":"user","content":"")"), "nothing");
    EXPECT_THAT(message(R"("id":"m","role":"user","created":-1)"), HasSubstr("'created'"));
    EXPECT_THAT(message(R"("id":"m","role":"user","prompt_tokens":4294967296)"),
                HasSubstr("'prompt_tokens'"));
    EXPECT_THAT(message(R"("id":"m","role":"user","parent":"m")"), HasSubstr("earlier"));
    EXPECT_THAT(message(R"("id":"m","role":"user","status":"x")"), HasSubstr("status"));
    EXPECT_THAT(message(R"("id":"m","role":"user","content":1)"), HasSubstr("'content'"));
}

}  // namespace
}  // namespace dunlin
