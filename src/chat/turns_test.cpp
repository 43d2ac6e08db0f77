// Turns on a clock and a generation that only the test moves: whoever comes, goes, stops or fails,
// every answer ends once, is stored before its readers hear of the end, and is billed once.
#include "chat/turns.h"

#include <future>

#include "engine/generation_log.h"
#include "gtest/gtest.h"
#include "sessions/stores.h"

namespace dunlin {
namespace {

/// Answers with logs that the test writes. A prompt is one token a message.
class HandEngine final : public Engine {
 public:
    struct HandPrepared final : Prepared {
        uint32_t tokens = 0;
        uint32_t prompt_tokens() const override { return tokens; }
        uint32_t max_tokens() const override { return 100; }
    };
    Expected<std::unique_ptr<Prepared>> prepare(const Request& request, std::stop_token) override {
        auto out = std::make_unique<HandPrepared>();
        if (const auto* messages = std::get_if<std::vector<Message>>(&request.prompt)) {
            last = *messages;
            out->tokens = static_cast<uint32_t>(messages->size());
        }
        ++prepared;
        if (out->tokens > context) return fail(Code::TooLong, "too long");
        return out;
    }
    std::shared_ptr<Generation> submit(std::unique_ptr<Prepared>, const Admission& given) override {
        admission = given;
        logs.push_back(std::make_shared<GenerationLog>());
        return logs.back();
    }
    Expected<std::vector<TokenId>> tokenize(std::string_view, bool) const override { return {}; }
    Expected<std::string> detokenize(std::span<const TokenId>) const override { return {}; }
    const Capabilities& capabilities() const override { return capabilities_; }
    EngineState state() const override { return {}; }
    void drain(int64_t) override {}

    GenerationLog& log() { return *logs.back(); }

    std::vector<std::shared_ptr<GenerationLog>> logs;
    std::vector<Message> last;
    Admission admission;
    uint32_t context = 1000, prepared = 0;

 private:
    Capabilities capabilities_;
};

class HandRegistry final : public Registry {
 public:
    std::vector<ModelInfo> list() const override { return {}; }
    Expected<std::string> resolve(std::string_view) const override { return "m"; }
    Expected<ModelInfo> find(std::string_view) const override { return ModelInfo{}; }
    void acquire(std::string_view, Acquired done) override { done(engine); }
    std::shared_ptr<Engine> loaded(std::string_view) const override { return engine; }
    void drain(int64_t) override {}
    std::shared_ptr<HandEngine> engine = std::make_shared<HandEngine>();
};

/// A disk that outlives the process: what was applied before the crash stays, nothing comes after.
class Disk final : public SessionStore {
 public:
    struct State {
        std::unique_ptr<SessionStore> store = std::move(*open_session_store("memory", {}));
        bool full = false;
    };
    Disk(std::shared_ptr<State> disk, std::shared_ptr<bool> power)
        : disk_(std::move(disk)), power_(std::move(power)) {}
    Expected<std::optional<Session>> session(std::string_view id) override {
        return disk_->store->session(id);
    }
    Expected<std::vector<Session>> list(const StoreQuery& query) override {
        return disk_->store->list(query);
    }
    Expected<uint64_t> count(std::string_view owner) override { return disk_->store->count(owner); }
    Expected<int64_t> last_change() override { return disk_->store->last_change(); }
    Expected<std::vector<MessageLink>> links(std::string_view session) override {
        return disk_->store->links(session);
    }
    Expected<std::vector<StoredMessage>> messages(std::string_view session,
                                                  std::span<const std::string> ids) override {
        return disk_->store->messages(session, ids);
    }
    Expected<std::vector<std::string>> sessions_with(MessageStatus status) override {
        return disk_->store->sessions_with(status);
    }
    Expected<void> apply(const StoreChanges& changes) override {
        if (!*power_ || disk_->full) return fail(Code::Io, "no space left on device");
        return disk_->store->apply(changes);
    }

 private:
    std::shared_ptr<State> disk_;
    std::shared_ptr<bool> power_;
};

class TurnsTest : public testing::Test {
 protected:
    void SetUp() override { open(); }
    void TearDown() override {
        workers_.stop();
        turns_.reset();
    }
    /// Again after a crash: what the process did from `power_` going on is not on the disk.
    void open() {
        turns_.reset();
        power_ = std::make_shared<bool>(true);
        auto sessions = Sessions::open(std::make_unique<Disk>(disk_, power_), {}, clock_);
        ASSERT_TRUE(sessions) << sessions.error().message;
        sessions_ = std::move(*sessions);
        turns_ = std::make_unique<Turns>(registry_, *sessions_, workers_, clock_, metrics_,
                                         TurnSettings{.detached_s = 60, .own_thread = false});
    }
    Expected<TurnReader> begin(TurnRequest request) {
        request.model = "m";
        if (request.requests.empty()) request.requests.resize(1);
        if (!request.place)
            request.requests[0].prompt = std::vector<Message>{{"user", "stateless"}};
        std::promise<void> came;
        std::optional<Expected<TurnReader>> out;
        turns_->begin(std::move(request), gone_.get_token(), [&](Expected<TurnReader> reader) {
            out.emplace(std::move(reader));
            came.set_value();
        });
        came.get_future().wait();
        return std::move(*out);
    }
    Expected<TurnReader> say(const std::string& text, const std::string& session = "",
                             const std::string& owner = "ann") {
        return begin({.owner = owner,
                      .model = {},
                      .requests = {},
                      .place = TurnPlace{.session = session, .message = {}, .text = text}});
    }
    void write(const std::string& text) { engine().log().append(Text{0, text, {1}, {}}); }
    void start() { engine().log().append(Started{3, 0}); }
    void finish(End end = End::Stop) {
        engine().log().append(Finished{0, end, {}});
        engine().log().append(Done{{3, 0, 2}, {}});
    }
    static std::vector<Event> events(const TurnReader& reader) {
        std::vector<Event> out;
        reader->read(0, 1000, out);
        return out;
    }
    static bool over(const TurnReader& reader) {
        const auto all = events(reader);
        return !all.empty() && is_last(all.back());
    }
    StoredMessage newest(const std::string& session) {
        const auto page = sessions_->history("ann", session, 200, "");
        EXPECT_TRUE(page && !page->messages.empty());
        return page->messages.back().message;
    }
    HandEngine& engine() { return *registry_.engine; }
    uint64_t billed(const std::string& outcome) {
        return metrics_
            .counter("dunlin_key_requests_total", "", {{"key", "ann"}, {"outcome", outcome}})
            .value();
    }
    void pass(int64_t seconds) {
        clock_.advance_us(seconds * 1'000'000);
        turns_->tick();
    }

    ManualClock clock_;
    Metrics metrics_;
    HandRegistry registry_;
    Workers workers_{1};
    std::stop_source gone_;
    std::shared_ptr<Disk::State> disk_ = std::make_shared<Disk::State>();
    std::shared_ptr<bool> power_;
    std::unique_ptr<Sessions> sessions_;
    std::unique_ptr<Turns> turns_;
};

TEST_F(TurnsTest, TheEndIsToldOnceItIsStored) {
    const auto reader = say("Hello?");
    ASSERT_TRUE(reader) << reader.error().message;
    const std::string session = (*reader)->facts().session;
    start();
    write("Hi");
    write(" there");
    EXPECT_EQ(events(*reader).size(), 3U);
    int woken = 0;
    (*reader)->wake_on_event(3, [&]() noexcept { ++woken; });
    finish();
    EXPECT_EQ(events(*reader).size(), 3U) << "told before it was stored";
    EXPECT_EQ(woken, 0);
    turns_->tick();
    EXPECT_EQ(woken, 1);
    EXPECT_TRUE(over(*reader));
    EXPECT_TRUE((*reader)->saved());
    const auto stored = newest(session);
    EXPECT_EQ(stored.content, "Hi there");
    EXPECT_EQ(stored.status, MessageStatus::Complete);
    EXPECT_EQ(stored.completion_tokens, 2U);
    turns_->tick();
    EXPECT_EQ(billed("done"), 1U);
}

TEST_F(TurnsTest, TextIsStoredWhileItIsWritten) {
    const auto reader = say("Hello?");
    const std::string session = (*reader)->facts().session;
    start();
    write("Half");
    pass(1);
    EXPECT_EQ(newest(session).content, "Half");
    EXPECT_EQ(newest(session).status, MessageStatus::Writing);
}

TEST_F(TurnsTest, AnAnswerGoesOnWithoutReadersAndIsResumed) {
    std::string session;
    {
        const auto reader = say("Hello?");
        session = (*reader)->facts().session;
        start();
        write("one");
    }
    pass(30);
    EXPECT_FALSE(engine().log().cancelled());
    EXPECT_TRUE(turns_->is_answering(session));
    EXPECT_FALSE(turns_->resume("bob", session)) << "another owner's";
    write("two");
    {
        const auto first = turns_->resume("ann", session), second = turns_->resume("ann", session);
        ASSERT_TRUE(first && second);
        EXPECT_EQ(events(*first).size(), 3U);
        pass(100);
        EXPECT_FALSE(engine().log().cancelled()) << "somebody reads";
        finish();
        turns_->tick();
        EXPECT_TRUE(over(*first) && over(*second));
    }
    EXPECT_TRUE(turns_->resume("ann", session)) << "ended just now";
    EXPECT_FALSE(turns_->is_answering(session));
    pass(61);
    EXPECT_FALSE(turns_->resume("ann", session));
    EXPECT_EQ(newest(session).content, "onetwo");
}

TEST_F(TurnsTest, NobodyForTooLongCancels) {
    const std::string session = (*say("Hello?"))->facts().session;
    start();
    write("text");
    pass(59);
    EXPECT_FALSE(engine().log().cancelled());
    pass(2);
    EXPECT_TRUE(engine().log().cancelled());
    finish(End::Cancelled);
    turns_->tick();
    EXPECT_EQ(newest(session).status, MessageStatus::Cancelled);
    EXPECT_EQ(newest(session).content, "text");
}

TEST_F(TurnsTest, AStatelessAnswerEndsWithItsReader) {
    {
        const auto reader = begin({.owner = "ann", .model = {}, .requests = {}});
        ASSERT_TRUE(reader);
        start();
        EXPECT_FALSE(engine().log().cancelled());
    }
    EXPECT_TRUE(engine().log().cancelled());
    finish(End::Cancelled);
    turns_->tick();
    turns_->tick();
    EXPECT_EQ(billed("done"), 1U);
}

TEST_F(TurnsTest, OneAnswerASessionAtATime) {
    const auto reader = say("Hello?");
    const std::string session = (*reader)->facts().session;
    const auto second = say("And?", session);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::Conflict);
    start();
    finish();
    turns_->tick();
    EXPECT_TRUE(say("And?", session));
    EXPECT_EQ(engine().last.size(), 3U);
    EXPECT_EQ(engine().last.back().content, "And?");
}

TEST_F(TurnsTest, ARefusalLeavesNothingBehind) {
    const auto reader = say("Hello?");
    const std::string session = (*reader)->facts().session;
    engine().log().append(Failed{{Code::Overloaded, "full"}, {}});
    EXPECT_TRUE(events(*reader).empty());
    turns_->tick();
    EXPECT_TRUE(over(*reader));
    EXPECT_FALSE(sessions_->find("ann", session)) << "it was made for this answer";

    const auto made = sessions_->create("ann", {});
    const auto again = say("Hello?", made->id);
    engine().log().append(Failed{{Code::Overloaded, "full"}, {}});
    turns_->tick();
    EXPECT_EQ(sessions_->find("ann", made->id)->messages, 0U);

    engine().context = 0;
    EXPECT_FALSE(say("Hello?", made->id));
    EXPECT_EQ(sessions_->find("ann", made->id)->messages, 0U);
    EXPECT_FALSE(turns_->is_answering(made->id));
    EXPECT_FALSE(say("Hello?"));
    EXPECT_EQ(sessions_->list("ann", "", 10, "")->sessions.size(), 1U);
}

TEST_F(TurnsTest, AFailureKeepsTheTextSoFar) {
    const auto reader = say("Hello?");
    const std::string session = (*reader)->facts().session;
    start();
    write("some");
    engine().log().append(Failed{{Code::DeadlineExceeded, "late"}, {3, 0, 1}});
    turns_->tick();
    EXPECT_TRUE(std::holds_alternative<Failed>(events(*reader).back()));
    EXPECT_EQ(newest(session).status, MessageStatus::Failed);
    EXPECT_EQ(newest(session).content, "some");
    EXPECT_EQ(billed("error"), 1U);
}

TEST_F(TurnsTest, TheDeadlineReachesTheEngine) {
    const auto reader = begin({.owner = "ann", .model = {}, .requests = {}, .deadline_us = 12345});
    EXPECT_EQ(engine().admission.deadline_us, 12345);
    const Digest ann = engine().admission.domain;
    const auto other = begin({.owner = "bob", .model = {}, .requests = {}});
    EXPECT_FALSE(engine().admission.domain == ann) << "prefixes of two owners are apart";
}

TEST_F(TurnsTest, ACrashInMidAnswerKeepsWhatWasWritten) {
    std::string session;
    {
        const auto reader = say("Hello?");
        session = (*reader)->facts().session;
        start();
        write("on the disk");
        pass(1);
        write(", not yet");
        *power_ = false;
        finish();
        turns_->tick();
        EXPECT_TRUE(over(*reader));
        EXPECT_FALSE((*reader)->saved()) << "acknowledged, though it is not stored";
    }
    open();
    const auto page = sessions_->history("ann", session, 10, "");
    ASSERT_TRUE(page && page->messages.size() == 2);
    EXPECT_EQ(page->messages[0].message.content, "Hello?");
    EXPECT_EQ(page->messages[1].message.content, "on the disk");
    EXPECT_EQ(page->messages[1].message.status, MessageStatus::Interrupted);
    EXPECT_TRUE(say("And?", session));
}

TEST_F(TurnsTest, AFullDiskAcknowledgesNothing) {
    const auto reader = say("Hello?");
    const std::string session = (*reader)->facts().session;
    start();
    write("text");
    disk_->full = true;
    pass(1);
    EXPECT_EQ(events(*reader).size(), 2U) << "the answer goes on";
    EXPECT_FALSE(say("Another?"));
    disk_->full = false;
    pass(1);
    EXPECT_EQ(newest(session).content, "text") << "written again once there is room";
    finish();
    turns_->tick();
    EXPECT_TRUE((*reader)->saved());
}

TEST_F(TurnsTest, AnAnswerThatEndsOnAFullDiskIsStoredOnceThereIsRoom) {
    const auto reader = say("Hello?");
    const std::string session = (*reader)->facts().session;
    start();
    write("text");
    disk_->full = true;
    finish();
    turns_->tick();
    EXPECT_TRUE(is_last(events(*reader).back())) << "nobody waits for the disk";
    EXPECT_FALSE((*reader)->saved());
    pass(3600);
    EXPECT_EQ(newest(session).status, MessageStatus::Writing);
    disk_->full = false;
    pass(1);
    EXPECT_EQ(newest(session).status, MessageStatus::Complete);
    EXPECT_EQ(newest(session).content, "text");
}

TEST_F(TurnsTest, ADeletedSessionEndsItsAnswer) {
    const auto reader = say("Hello?");
    const std::string session = (*reader)->facts().session;
    start();
    turns_->drop("bob", session);
    EXPECT_FALSE(engine().log().cancelled());
    turns_->drop("ann", session);
    EXPECT_TRUE(engine().log().cancelled());
    ASSERT_TRUE(sessions_->remove("ann", session));
    finish(End::Cancelled);
    turns_->tick();
    EXPECT_TRUE(over(*reader));
    EXPECT_FALSE(sessions_->find("ann", session));
}

TEST_F(TurnsTest, TheQueueTellsHowLong) {
    EXPECT_FALSE(turns_->eta_ms(1));
    for (int i = 0; i < 3; ++i) {
        const auto reader = begin({.owner = "ann", .model = {}, .requests = {}});
        start();
        finish();
        pass(2);
    }
    EXPECT_EQ(turns_->eta_ms(1), 2000);
    EXPECT_EQ(turns_->eta_ms(3), 6000);
}

}  // namespace
}  // namespace dunlin
