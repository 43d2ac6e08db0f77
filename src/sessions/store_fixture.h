#pragma once

// For the tests of this folder: one Sessions on each of the stores.

#include <filesystem>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "sessions/sessions.h"
#include "sessions/stores.h"

namespace dunlin {

/// A folder of a test's own, gone with it.
class TestFolder {
 public:
    TestFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "dunlin_sessions_XXXXXX");
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    ~TestFolder() { std::filesystem::remove_all(path_); }
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;
    const std::string& path() const { return path_; }

 private:
    std::string path_;
};

/// Tests that run on every store; the parameter is its name.
class OnStore : public testing::TestWithParam<std::string> {
 protected:
    void SetUp() override { open(); }

    void open(const SessionLimits& limits = {}) {
        sessions_.reset();
        auto store = open_session_store(GetParam(), {folder_.path(), &clock_});
        ASSERT_TRUE(store) << store.error().message;
        auto sessions = Sessions::open(std::move(*store), limits, clock_);
        ASSERT_TRUE(sessions) << sessions.error().message;
        sessions_ = std::move(*sessions);
    }
    bool keeps() const { return GetParam() != "memory"; }

    Session create(std::string_view owner = "", const SessionFields& fields = {}) {
        auto session = sessions_->create(owner, fields);
        EXPECT_TRUE(session) << session.error().message;
        return session.value_or(Session{});
    }
    TurnPlan plan(const TurnPlace& place, std::string_view owner = "") {
        auto plan = sessions_->plan(owner, place);
        EXPECT_TRUE(plan) << plan.error().message;
        return plan.value_or(TurnPlan{});
    }
    /// Asks and answers.
    TurnPlan turn(const TurnPlace& place, const std::string& answer = "Yes.",
                  std::string_view owner = "") {
        TurnPlan out = plan(place, owner);
        EXPECT_TRUE(sessions_->begin(out));
        end(out, answer);
        return out;
    }
    TurnPlan say(const std::string& session, const std::string& text,
                 const std::string& answer = "Yes.") {
        return turn({TurnPlace::What::Say, session, "", text}, answer);
    }
    void end(const TurnPlan& plan, const std::string& text,
             MessageStatus status = MessageStatus::Complete) {
        AnswerUpdate update{plan.session.id, plan.answer};
        update.answer.content = text;
        update.answer.status = status;
        update.answer.finish_reason = "stop";
        update.answer.prompt_tokens = 3;
        update.answer.completion_tokens = 4;
        EXPECT_TRUE(sessions_->write({&update, 1}));
    }
    HistoryPage history(const std::string& session, uint32_t limit = 1000,
                        const std::string& before = "", std::string_view owner = "") {
        auto page = sessions_->history(owner, session, limit, before);
        EXPECT_TRUE(page) << page.error().message;
        return page.value_or(HistoryPage{});
    }
    /// "hello|Yes.|more|No." of the shown branch.
    std::string shown(const std::string& session) {
        std::string out;
        for (const auto& one : history(session).messages)
            out += (out.empty() ? "" : "|") + one.message.content;
        return out;
    }
    /// The titles of the sessions, in their order.
    std::string titles(std::string_view query = "", std::string_view owner = "") {
        const auto page = sessions_->list(owner, query, 1000, "");
        EXPECT_TRUE(page) << page.error().message;
        std::string out;
        for (const auto& one : page.value_or(SessionPage{}).sessions)
            out += (out.empty() ? "" : "|") + one.title;
        return out;
    }

    TestFolder folder_;
    ManualClock clock_;
    std::unique_ptr<Sessions> sessions_;
};

/// The name of a test's parameter.
inline std::string store_name(const testing::TestParamInfo<std::string>& info) {
    return info.param;
}

inline std::vector<std::string> store_names() {
    return {std::begin(kSessionStores), std::end(kSessionStores)};
}

}  // namespace dunlin
