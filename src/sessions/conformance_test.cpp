// What every store has to do, seen through the rules above it.
#include <set>
#include <thread>

#include "sessions/store_fixture.h"

namespace dunlin {
namespace {

using What = TurnPlace::What;
using std::string_literals::operator""s;

template <class T>
Code code_of(const Expected<T>& result) {
    return result ? Code::Internal : result.error().code;
}

std::string join(const std::vector<std::string>& texts) {
    std::string out;
    for (const auto& one : texts) out += (out.empty() ? "" : "|") + one;
    return out;
}

class Conformance : public OnStore {};
INSTANTIATE_TEST_SUITE_P(Stores, Conformance, testing::ValuesIn(store_names()), store_name);

TEST_P(Conformance, ASessionIsAsItWasMadeAndChanged) {
    const Session made = create("a", {"  Grüße,\n 世界 ", "m", "Be brief.", R"({"seed":1})"});
    EXPECT_EQ(made.title, "Grüße, 世界");
    EXPECT_EQ(made.id.size(), 29);
    EXPECT_TRUE(made.id.starts_with("sess_"));
    clock_.advance_us(5'000'000);
    ASSERT_TRUE(sessions_->change("a", made.id, {std::nullopt, "", std::nullopt, "{}"}));
    const Session found = sessions_->find("a", made.id).value_or(Session{});
    EXPECT_EQ(found.title, made.title);
    EXPECT_EQ(found.model, "");
    EXPECT_EQ(found.system, "Be brief.");
    EXPECT_EQ(found.parameters, "{}");
    EXPECT_EQ(found.created_unix_s, made.created_unix_s);
    EXPECT_EQ(found.updated_unix_s, made.created_unix_s + 5);
    EXPECT_TRUE(sessions_->remove("a", made.id));
    EXPECT_EQ(code_of(sessions_->find("a", made.id)), Code::NotFound);
    EXPECT_EQ(code_of(sessions_->remove("a", made.id)), Code::NotFound);
}

TEST_P(Conformance, FieldsThatCannotBeAreRefused) {
    const Session session = create();
    const auto refused = [&](const SessionFields& fields) {
        const auto changed = sessions_->change("", session.id, fields);
        return changed ? "" : changed.error().param;
    };
    EXPECT_EQ(refused({.title = std::string(1025, 'x')}), "title");
    EXPECT_EQ(refused({.title = "\xff"}), "title");
    EXPECT_EQ(refused({.model = std::string(257, 'x')}), "model");
    EXPECT_EQ(refused({.system = "\xed\xa0\x80"}), "system");
    EXPECT_EQ(refused({.parameters = "[1]"}), "parameters");
    EXPECT_EQ(refused({.parameters = "{"}), "parameters");
}

TEST_P(Conformance, AnotherOwnersSessionIsNotFound) {
    const Session session = create("a");
    const TurnPlan done = turn({What::Say, session.id, "", "secret"}, "Yes.", "a");
    for (const std::string_view other : {"", "b", "A"}) {
        EXPECT_EQ(code_of(sessions_->find(other, session.id)), Code::NotFound);
        EXPECT_EQ(code_of(sessions_->change(other, session.id, {.title = "x"})), Code::NotFound);
        EXPECT_EQ(code_of(sessions_->remove(other, session.id)), Code::NotFound);
        EXPECT_EQ(code_of(sessions_->history(other, session.id, 10, "")), Code::NotFound);
        EXPECT_EQ(code_of(sessions_->rollback(other, session.id, 1)), Code::NotFound);
        EXPECT_EQ(code_of(sessions_->show(other, session.id, done.answer.id)), Code::NotFound);
        EXPECT_EQ(code_of(sessions_->plan(other, {What::Say, session.id, "", "x"})),
                  Code::NotFound);
        EXPECT_EQ(code_of(sessions_->plan(other, {What::Regenerate, session.id, "", ""})),
                  Code::NotFound);
        TurnPlan stolen = done;
        stolen.session.owner = other;
        EXPECT_EQ(code_of(sessions_->begin(stolen)), Code::NotFound);
        EXPECT_EQ(code_of(sessions_->withdraw(stolen)), Code::NotFound);
        EXPECT_EQ(code_of(sessions_->list(other, "", 10, session.id)), Code::Invalid);
        EXPECT_EQ(titles("", other), "");
        EXPECT_EQ(titles("secret", other), "");
    }
    EXPECT_EQ(titles("", "a"), "secret");
}

TEST_P(Conformance, ATurnAddsAQuestionAndItsAnswer) {
    const Session session = create("", {.model = "m"});
    const TurnPlan first = plan({What::Say, session.id, "", "What is\n gravity?"});
    EXPECT_EQ(first.context.size(), 1);
    EXPECT_EQ(history(session.id).messages.size(), 0) << "a plan changes nothing";
    ASSERT_TRUE(sessions_->begin(first));
    HistoryPage page = history(session.id);
    ASSERT_EQ(page.messages.size(), 2);
    EXPECT_EQ(page.session.title, "What is gravity?");
    EXPECT_EQ(page.session.head, first.answer.id);
    EXPECT_EQ(page.messages[0].message.content, "What is\n gravity?");
    EXPECT_EQ(page.messages[0].message.parent, "");
    EXPECT_EQ(page.messages[1].message.status, MessageStatus::Writing);
    EXPECT_EQ(page.messages[1].message.parent, first.question.id);
    EXPECT_EQ(code_of(sessions_->begin(first)), Code::Invalid) << "only once";

    end(first, "It", MessageStatus::Writing);
    EXPECT_EQ(shown(session.id), "What is\n gravity?|It");
    end(first, "It pulls.");
    end(first, "It pul", MessageStatus::Writing);  // comes too late
    page = history(session.id);
    const StoredMessage& answer = page.messages[1].message;
    EXPECT_EQ(answer.content, "It pulls.");
    EXPECT_EQ(answer.status, MessageStatus::Complete);
    EXPECT_EQ(answer.role, "assistant");
    EXPECT_EQ(answer.model, "m");
    EXPECT_EQ(answer.finish_reason, "stop");
    EXPECT_EQ(answer.prompt_tokens, 3);
    EXPECT_EQ(answer.completion_tokens, 4);
    EXPECT_EQ(page.session.messages, 2);
    EXPECT_EQ(page.session.bytes, 17 + 9);

    const TurnPlan second = plan({What::Say, session.id, "", "And light?"});
    ASSERT_EQ(second.context.size(), 3);
    EXPECT_EQ(second.context[1].content, "It pulls.");
    EXPECT_EQ(second.context[2].id, second.question.id);
}

TEST_P(Conformance, AnsweringAgainAndEditingMakeBranches) {
    const Session session = create();
    const TurnPlan one = say(session.id, "q1", "a1");
    const TurnPlan two = say(session.id, "q2", "a2");
    turn({What::Regenerate, session.id, "", ""}, "a2b");
    EXPECT_EQ(shown(session.id), "q1|a1|q2|a2b");
    const auto page = history(session.id);
    EXPECT_EQ(page.messages[3].siblings.size(), 2);
    EXPECT_EQ(page.messages[3].siblings[0], two.answer.id);
    EXPECT_EQ(page.session.messages, 5);

    // From a question above, and from its answer: the same question.
    EXPECT_FALSE(plan({What::Regenerate, session.id, one.answer.id, ""}).question_is_new);
    EXPECT_EQ(plan({What::Regenerate, session.id, one.answer.id, ""}).question.content, "q1");
    EXPECT_EQ(plan({What::Regenerate, session.id, one.question.id, ""}).context.size(), 1);

    turn({What::Edit, session.id, one.question.id, "q1b"}, "a1b");
    EXPECT_EQ(shown(session.id), "q1b|a1b");
    EXPECT_EQ(join(history(session.id).messages[0].siblings),
              one.question.id + "|" + history(session.id).messages[0].message.id);
    EXPECT_EQ(code_of(sessions_->plan("", {What::Edit, session.id, one.answer.id, "x"})),
              Code::Invalid);
    EXPECT_EQ(code_of(sessions_->plan("", {What::Edit, session.id, "msg_none", "x"})),
              Code::NotFound);
    EXPECT_EQ(code_of(sessions_->plan("", {What::Say, session.id, "", ""})), Code::Invalid);
    EXPECT_EQ(code_of(sessions_->plan("", {What::Regenerate, create().id, "", ""})), Code::Invalid);

    ASSERT_TRUE(sessions_->show("", session.id, one.question.id));
    EXPECT_EQ(shown(session.id), "q1|a1|q2|a2b") << "the newest end below";
    ASSERT_TRUE(sessions_->show("", session.id, two.answer.id));
    EXPECT_EQ(shown(session.id), "q1|a1|q2|a2");
    EXPECT_EQ(code_of(sessions_->show("", session.id, "msg_none")), Code::NotFound);
}

TEST_P(Conformance, RollbackMovesTheHeadAndLosesNothing) {
    const Session session = create();
    say(session.id, "q1", "a1");
    const TurnPlan two = say(session.id, "q2", "a2");
    EXPECT_EQ(code_of(sessions_->rollback("", session.id, 5)), Code::Invalid);
    ASSERT_TRUE(sessions_->rollback("", session.id, 2));
    EXPECT_EQ(shown(session.id), "q1|a1");
    say(session.id, "q3", "a3");
    EXPECT_EQ(shown(session.id), "q1|a1|q3|a3");
    ASSERT_TRUE(sessions_->show("", session.id, two.question.id));
    EXPECT_EQ(shown(session.id), "q1|a1|q2|a2");
    ASSERT_TRUE(sessions_->rollback("", session.id, 4));
    EXPECT_EQ(shown(session.id), "");
    EXPECT_EQ(sessions_->find("", session.id)->messages, 6);
    say(session.id, "q4", "a4");
    EXPECT_EQ(history(session.id).messages[0].siblings.size(), 2);
}

TEST_P(Conformance, WithdrawLeavesNoHeadThatIsGone) {
    const Session made = create("ann");
    const TurnPlan turn = plan({What::Say, made.id, "", "Hello?"}, "ann");
    ASSERT_TRUE(sessions_->begin(turn));
    ASSERT_TRUE(sessions_->rollback("ann", made.id, 1));
    ASSERT_TRUE(sessions_->withdraw(turn));
    EXPECT_EQ(sessions_->find("ann", made.id)->head, "");
    EXPECT_TRUE(sessions_->begin(plan({What::Say, made.id, "", "Again?"}, "ann")));
}

TEST_P(Conformance, WithdrawTakesBackWhatBeginStored) {
    const Session session = create();
    const TurnPlan first = plan({What::Say, session.id, "", "q1"});
    ASSERT_TRUE(sessions_->begin(first));
    ASSERT_TRUE(sessions_->withdraw(first));
    EXPECT_TRUE(sessions_->withdraw(first)) << "nothing is left to take back";
    Session now = *sessions_->find("", session.id);
    EXPECT_EQ(now.title, "");
    EXPECT_EQ(now.head, "");
    EXPECT_EQ(now.messages, 0);
    EXPECT_EQ(now.bytes, 0);

    say(session.id, "q1", "a1");
    const TurnPlan again = plan({What::Regenerate, session.id, "", ""});
    ASSERT_TRUE(sessions_->begin(again));
    ASSERT_TRUE(sessions_->withdraw(again));
    EXPECT_EQ(shown(session.id), "q1|a1");
    now = *sessions_->find("", session.id);
    EXPECT_EQ(now.messages, 2);
    EXPECT_EQ(now.title, "q1");
}

TEST_P(Conformance, HistoryComesInPages) {
    const Session session = create();
    for (int i = 0; i < 6; ++i) say(session.id, "q" + std::to_string(i), "a" + std::to_string(i));
    std::string all, before;
    size_t pages = 0;
    for (bool more = true; more; ++pages) {
        const HistoryPage page = history(session.id, 5, before);
        std::string texts;
        for (const auto& one : page.messages) texts += one.message.content;
        all.insert(0, texts);
        before = page.messages.front().message.id;
        more = page.more;
    }
    EXPECT_EQ(all, "q0a0q1a1q2a2q3a3q4a4q5a5");
    EXPECT_EQ(pages, 3);
    ASSERT_TRUE(sessions_->rollback("", session.id, 12));
    EXPECT_EQ(code_of(sessions_->history("", session.id, 5, before)), Code::NotFound)
        << "not on the shown branch";
}

TEST_P(Conformance, TheLastUsedComesFirst) {
    const Session a = create("", {.title = "a"}), b = create("", {.title = "b"}),
                  c = create("", {.title = "c"});
    EXPECT_EQ(titles(), "c|b|a");
    say(a.id, "hello");
    EXPECT_EQ(titles(), "a|c|b");
    ASSERT_TRUE(sessions_->change("", b.id, {.title = "B"}));
    EXPECT_EQ(titles(), "B|a|c");
    const auto first = sessions_->list("", "", 2, "");
    ASSERT_EQ(first->sessions.size(), 2);
    EXPECT_TRUE(first->more);
    const auto second = sessions_->list("", "", 2, first->sessions.back().id);
    ASSERT_EQ(second->sessions.size(), 1);
    EXPECT_EQ(second->sessions[0].title, "c");
    EXPECT_FALSE(second->more);
    ASSERT_TRUE(sessions_->remove("", a.id));
    EXPECT_EQ(code_of(sessions_->list("", "", 2, a.id)), Code::Invalid);
}

TEST_P(Conformance, SearchLooksInTitlesAndMessagesWhateverTheCase) {
    const Session a = create("", {.title = "Übersicht"});
    say(create("", {.title = "two"}).id, "Что такое ГРАВИТАЦИЯ?", "50% of 'it_' is \\ mass");
    create("", {.title = "重力とは"});
    EXPECT_EQ(titles("übers"), "Übersicht");
    EXPECT_EQ(titles("ÜBERSICHT"), "Übersicht");
    EXPECT_EQ(titles("гравитация"), "two");
    EXPECT_EQ(titles("重力"), "重力とは");
    EXPECT_EQ(titles("0% OF 'IT_' is \\"), "two");
    EXPECT_EQ(titles("%"), "two");
    EXPECT_EQ(titles("nowhere"), "");
    EXPECT_EQ(titles("übersichtx"), "");
}

TEST_P(Conformance, LimitsHold) {
    open({.sessions_max = 2, .messages_max = 4, .session_bytes_max = 40, .ttl_s = 0});
    const Session session = create("a");
    create("a");
    EXPECT_EQ(code_of(sessions_->create("a", {})), Code::TooLarge);
    EXPECT_TRUE(sessions_->create("b", {})) << "the limit is each owner's";
    EXPECT_EQ(code_of(sessions_->plan("a", {What::Say, session.id, "", std::string(41, 'x')})),
              Code::TooLarge);
    EXPECT_EQ(code_of(sessions_->change("a", session.id, {.system = std::string(41, 'x')})),
              Code::Invalid);
    const auto one = plan({What::Say, session.id, "", std::string(20, 'x')}, "a");
    const auto other = plan({What::Say, session.id, "", std::string(21, 'x')}, "a");
    ASSERT_TRUE(sessions_->begin(one));
    EXPECT_EQ(code_of(sessions_->begin(other)), Code::TooLarge) << "both were planned when empty";
    turn({What::Regenerate, session.id, "", ""}, "a", "a");
    EXPECT_EQ(code_of(sessions_->plan("a", {What::Say, session.id, "", "x"})), Code::TooLarge);
    turn({What::Regenerate, session.id, "", ""}, "a", "a");
    EXPECT_EQ(code_of(sessions_->plan("a", {What::Regenerate, session.id, "", ""})),
              Code::TooLarge);
    EXPECT_TRUE(sessions_->remove("a", session.id));
    EXPECT_TRUE(sessions_->create("a", {}));
}

TEST_P(Conformance, SessionsLiveForTheirLifetimeSinceTheLastChange) {
    open({.ttl_s = 100});
    const Session old = create("", {.title = "old"}), used = create("", {.title = "used"});
    clock_.advance_us(60'000'000);
    say(used.id, "hello");
    EXPECT_EQ(*sessions_->remove_expired(), 0);
    clock_.advance_us(50'000'000);
    EXPECT_EQ(code_of(sessions_->find("", old.id)), Code::NotFound);
    EXPECT_EQ(titles(), "used");
    EXPECT_EQ(*sessions_->remove_expired(), 1);
    EXPECT_EQ(*sessions_->remove_expired(), 0);
    EXPECT_EQ(shown(used.id), "hello|Yes.");
    open({.ttl_s = 0});
    EXPECT_EQ(titles(), keeps() ? "used" : "");
}

TEST_P(Conformance, WhatWasDoneIsThereAfterwards) {
    if (!keeps()) return;
    const Session session = create("a", {"t", "m", "s\ny\0s"s, R"({"stop":["\n"]})"});
    const TurnPlan one = turn({What::Say, session.id, "", "q \u2028\n\"\\"}, "ä\t", "a");
    turn({What::Regenerate, session.id, "", ""}, "b", "a");
    const HistoryPage before = history(session.id, 10, "", "a");
    open();
    const HistoryPage after = history(session.id, 10, "", "a");
    EXPECT_EQ(after.session.title, "t");
    EXPECT_EQ(after.session.model, "m");
    EXPECT_EQ(after.session.system, "s\ny\0s"s);
    EXPECT_EQ(after.session.parameters, R"({"stop":["\n"]})");
    EXPECT_EQ(after.session.head, before.session.head);
    EXPECT_EQ(after.session.created_unix_s, before.session.created_unix_s);
    EXPECT_EQ(after.session.updated_unix_s, before.session.updated_unix_s);
    EXPECT_EQ(after.session.messages, 3);
    EXPECT_EQ(after.session.bytes, before.session.bytes);
    ASSERT_EQ(after.messages.size(), 2);
    for (size_t i = 0; i < 2; ++i) {
        const StoredMessage &a = after.messages[i].message, &b = before.messages[i].message;
        EXPECT_EQ(a.id, b.id);
        EXPECT_EQ(a.parent, b.parent);
        EXPECT_EQ(a.role, b.role);
        EXPECT_EQ(a.content, b.content);
        EXPECT_EQ(a.model, b.model);
        EXPECT_EQ(a.finish_reason, b.finish_reason);
        EXPECT_EQ(a.status, b.status);
        EXPECT_EQ(a.prompt_tokens, b.prompt_tokens);
        EXPECT_EQ(a.completion_tokens, b.completion_tokens);
        EXPECT_EQ(a.created_unix_s, b.created_unix_s);
        EXPECT_EQ(after.messages[i].siblings, before.messages[i].siblings);
    }
    create("a", {.title = "newer"});
    EXPECT_EQ(titles("", "a"), "newer|t");
}

TEST_P(Conformance, UnfinishedAnswersBecomeInterrupted) {
    if (!keeps()) return;
    const Session session = create();
    const TurnPlan turn = plan({What::Say, session.id, "", "q"});
    ASSERT_TRUE(sessions_->begin(turn));
    end(turn, "half an ans", MessageStatus::Writing);
    const TurnPlan empty = plan({What::Regenerate, session.id, "", ""});
    ASSERT_TRUE(sessions_->begin(empty));
    open();
    const HistoryPage page = history(session.id);
    EXPECT_EQ(page.messages[1].message.status, MessageStatus::Interrupted);
    ASSERT_TRUE(sessions_->show("", session.id, turn.answer.id));
    EXPECT_EQ(history(session.id).messages[1].message.status, MessageStatus::Interrupted);
    EXPECT_EQ(shown(session.id), "q|half an ans");
}

TEST_P(Conformance, OneWriteIsOneTransactionOverManySessions) {
    const Session a = create(), b = create(), gone = create();
    std::vector<AnswerUpdate> updates;
    for (const Session* session : {&a, &b, &gone}) {
        const TurnPlan turn = plan({What::Say, session->id, "", "q"});
        ASSERT_TRUE(sessions_->begin(turn));
        updates.push_back({session->id, turn.answer});
        updates.back().answer.content = "done";
        updates.back().answer.status = MessageStatus::Complete;
    }
    ASSERT_TRUE(sessions_->remove("", gone.id));
    auto bad = updates;
    bad[1].answer.content = "\xff";
    EXPECT_EQ(code_of(sessions_->write(bad)), Code::Invalid);
    EXPECT_EQ(shown(a.id), "q|");
    EXPECT_TRUE(sessions_->write(updates));
    EXPECT_EQ(shown(a.id), "q|done");
    EXPECT_EQ(shown(b.id), "q|done");
    EXPECT_EQ(code_of(sessions_->find("", gone.id)), Code::NotFound);
}

TEST_P(Conformance, ManyThreadsLoseNothing) {
    const Session session = create();
    constexpr int kThreads = 4, kTurns = 10;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < kThreads; ++t)
            threads.emplace_back([&] {
                for (int i = 0; i < kTurns; ++i) {
                    say(session.id, "q");
                    titles("q");
                }
            });
    }
    const Session now = *sessions_->find("", session.id);
    EXPECT_EQ(now.messages, 2 * kThreads * kTurns);
    EXPECT_EQ(now.bytes, kThreads * kTurns * 5);
}

}  // namespace
}  // namespace dunlin
