// A process writes conversations and tells another one through a pipe what has been acknowledged;
// the other kills it at a random moment (SIGKILL), opens the store again, and looks for everything
// that was acknowledged. Some kills hit the opening itself. DUNLIN_KILLS sets how many there are.
//
// The control shows that this can fail: a writer that acknowledges before it stores is caught.
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sessions/store_fixture.h"

namespace dunlin {
namespace {

enum class Acknowledge : uint8_t { AfterTheCommit, BeforeTheCommit };

/// The text that a number stands for, of 1 to 5,000 bytes.
std::string text_of(uint64_t number) {
    return std::to_string(number) + std::string(number * 2654435761U % 5000, 'x');
}

uint32_t kills_wanted() {
    uint32_t out = 50;
    if (const char* given = std::getenv("DUNLIN_KILLS"))
        std::from_chars(given, given + std::string_view(given).size(), out);
    return out;
}

/// What runs until it is killed. Lines to `pipe`: "q SESSION MESSAGE NUMBER" and "a ..." for stored
/// questions and finished answers, "d SESSION" before a session is deleted.
class Writer {
 public:
    Writer(std::string store, std::string folder, Acknowledge when, uint64_t seed, int pipe)
        : store_(std::move(store)),
          folder_(std::move(folder)),
          when_(when),
          random_(seed),
          pipe_(pipe) {}

    [[noreturn]] void run() {
        auto store = open_session_store(store_, {folder_, &system_clock()});
        if (!store) fail(store.error());
        auto sessions = Sessions::open(std::move(*store), {}, system_clock());
        if (!sessions) fail(sessions.error());
        sessions_ = std::move(*sessions);
        while (true) turn();
    }

 private:
    [[noreturn]] void fail(const Error& error) {
        say("f " + error.message);
        _exit(1);
    }
    template <class T>
    T value(Expected<T> result) {
        if (!result) fail(result.error());
        if constexpr (!std::is_void_v<T>) return std::move(*result);
    }
    void say(std::string line) {
        line += '\n';
        if (write(pipe_, line.data(), line.size()) != std::ssize(line)) _exit(1);
    }
    void acknowledge(const char* what, const std::string& session, const StoredMessage& message,
                     uint64_t number) {
        say(std::string(what) + " " + session + " " + message.id + " " + std::to_string(number));
    }

    void turn() {
        const auto page = value(sessions_->list("", "", 10, ""));
        const size_t count = page.sessions.size();
        std::string session;
        if (count < 3 || (count < 8 && random_() % 20 == 0))
            session = value(sessions_->create("", {})).id;
        else
            session = page.sessions[random_() % count].id;
        if (random_() % 50 == 0) {
            say("d " + session);
            return value(sessions_->remove("", session));
        }
        const uint64_t asked = random_() % 1'000'000'000, answered = random_() % 1'000'000'000;
        const auto plan =
            value(sessions_->plan("", {TurnPlace::What::Say, session, "", text_of(asked)}));
        const bool early = when_ == Acknowledge::BeforeTheCommit;
        if (early) acknowledge("q", session, plan.question, asked);
        value(sessions_->begin(plan));
        if (!early) acknowledge("q", session, plan.question, asked);
        AnswerUpdate update{session, plan.answer};
        update.answer.content = "half";
        value(sessions_->write({&update, 1}));
        update.answer.content = text_of(answered);
        update.answer.status = MessageStatus::Complete;
        if (early) acknowledge("a", session, plan.answer, answered);
        value(sessions_->write({&update, 1}));
        if (!early) acknowledge("a", session, plan.answer, answered);
    }

    std::string store_, folder_;
    Acknowledge when_;
    std::mt19937_64 random_;
    int pipe_;
    std::unique_ptr<Sessions> sessions_;
};

class Kills : public testing::TestWithParam<std::string> {
 protected:
    /// Lets a writer run for so long, kills it, and notes what it has said.
    void kill_after(std::chrono::microseconds time, Acknowledge when, uint64_t seed) {
        int pipe[2];
        ASSERT_EQ(pipe2(pipe, O_CLOEXEC), 0);
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) Writer(GetParam(), folder_.path(), when, seed, pipe[1]).run();
        close(pipe[1]);
        const auto end = std::chrono::steady_clock::now() + time;
        std::string said;
        char part[65536];
        bool killed = false;
        while (true) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                end - std::chrono::steady_clock::now());
            pollfd one{pipe[0], POLLIN, 0};
            const bool more = poll(&one, 1, killed ? -1 : std::max(0, int(left.count()))) > 0;
            if (!more && !killed) killed = kill(child, SIGKILL) == 0;
            if (!more) continue;
            const ssize_t got = read(pipe[0], part, sizeof part);
            if (got <= 0) break;
            said.append(part, static_cast<size_t>(got));
            if (std::chrono::steady_clock::now() >= end && !killed)
                killed = kill(child, SIGKILL) == 0;
        }
        close(pipe[0]);
        ASSERT_EQ(waitpid(child, nullptr, 0), child);
        note(said);
    }

    void note(const std::string& said) {
        for (size_t at = 0, end = 0; (end = said.find('\n', at)) != said.npos; at = end + 1) {
            const std::string line = said.substr(at, end - at);
            ASSERT_NE(line[0], 'f') << "the writer could not go on: " << line;
            const std::string session = line.substr(2, line.find(' ', 2) - 2);
            if (line[0] == 'd') {
                acknowledged_.erase(session);
                continue;
            }
            const size_t id = 3 + session.size(), number = line.find(' ', id);
            uint64_t value = 0;
            std::from_chars(line.data() + number + 1, line.data() + line.size(), value);
            acknowledged_[session][line.substr(id, number - id)] = text_of(value);
            ++told_;
        }
    }

    /// Opens the store and returns how many acknowledged messages are not there as they were. What
    /// is there must be whole, and there once.
    size_t count_lost() {
        const auto start = std::chrono::steady_clock::now();
        auto opened = open_session_store(GetParam(), {folder_.path(), &system_clock()});
        EXPECT_TRUE(opened) << opened.error().message;
        if (!opened) return 0;
        SessionStore& store = **opened;
        const auto sessions = Sessions::open(std::move(*opened), {}, system_clock());
        EXPECT_TRUE(sessions);
        EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
        std::map<std::string, std::map<std::string, std::string>> found;
        const auto all = store.list({});
        EXPECT_TRUE(all);
        for (const Session& session : *all) check_session(store, session, found[session.id]);
        size_t lost = 0;
        for (const auto& [session, messages] : acknowledged_)
            for (const auto& [id, text] : messages) lost += found[session][id] == text ? 0 : 1;
        return lost;
    }

    static void check_session(SessionStore& store, const Session& session,
                              std::map<std::string, std::string>& found) {
        const auto links = store.links(session.id);
        ASSERT_TRUE(links);
        EXPECT_EQ(links->size(), session.messages);
        std::vector<std::string> ids;
        uint64_t bytes = 0;
        for (const MessageLink& link : *links) {
            EXPECT_NE(link.status, MessageStatus::Writing);
            EXPECT_TRUE(link.parent.empty() || found.contains(link.parent));
            EXPECT_TRUE(found.emplace(link.id, "").second) << "twice";
            ids.push_back(link.id);
            bytes += link.bytes;
        }
        EXPECT_EQ(bytes, session.bytes);
        EXPECT_TRUE(session.head.empty() || found.contains(session.head));
        const auto messages = store.messages(session.id, ids);
        ASSERT_TRUE(messages);
        EXPECT_EQ(messages->size(), ids.size());
        for (const StoredMessage& message : *messages) found[message.id] = message.content;
    }

    TestFolder folder_;
    std::mt19937_64 random_{1};
    std::map<std::string, std::map<std::string, std::string>> acknowledged_;
    size_t told_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Stores, Kills, testing::Values("sqlite", "json"), store_name);

TEST_P(Kills, LoseNothingThatWasAcknowledged) {
    const uint32_t kills = kills_wanted();
    for (uint32_t i = 0; i < kills; ++i) {
        const auto time = std::chrono::microseconds(random_() % (i % 5 == 0 ? 15'000 : 120'000));
        kill_after(time, Acknowledge::AfterTheCommit, i);
        ASSERT_EQ(count_lost(), 0) << "after kill " << i;
        if (HasFailure()) return;
    }
    EXPECT_GT(told_, kills / 5) << "the writers had hardly time to write";
    std::printf("%u kills, %zu messages acknowledged, 0 lost\n", kills, told_);
}

TEST_P(Kills, CatchAWriterThatAcknowledgesBeforeTheCommit) {
    size_t lost = 0;
    for (uint32_t i = 0; i < 200 && lost == 0; ++i) {
        const auto time = std::chrono::microseconds(random_() % 60'000);
        kill_after(time, Acknowledge::BeforeTheCommit, i);
        lost = count_lost();
        if (HasFailure()) return;
    }
    EXPECT_GT(lost, 0);
}

}  // namespace
}  // namespace dunlin
