// Random histories on every store beside a model that is as plain as can be: lists that are
// searched from end to end, no store below. After each step both must show the same, also after
// reopening.
#include <algorithm>
#include <map>
#include <random>

#include "sessions/store_fixture.h"

namespace dunlin {
namespace {

using What = TurnPlace::What;

struct PlainSession {
    Session session;
    std::vector<StoredMessage> messages;

    StoredMessage* find(const std::string& id) {
        for (auto& one : messages)
            if (one.id == id) return &one;
        return nullptr;
    }
    std::vector<StoredMessage> branch() {
        std::vector<StoredMessage> out;
        for (const auto* one = find(session.head); one != nullptr; one = find(one->parent))
            out.insert(out.begin(), *one);
        return out;
    }
    std::vector<std::string> siblings(const std::string& parent) const {
        std::vector<std::string> out;
        for (const auto& one : messages)
            if (one.parent == parent) out.push_back(one.id);
        return out;
    }
    void add(const StoredMessage& message) {
        messages.push_back(message);
        session.messages += 1;
        session.bytes += message.content.size();
    }
    bool is_below(std::string id, const std::string& top) {
        while (id != top && !id.empty()) id = find(id)->parent;
        return id == top;
    }
};

class Histories : public OnStore {
 protected:
    uint32_t draw(size_t below) { return static_cast<uint32_t>(random_() % below); }

    PlainSession* pick() { return model_.empty() ? nullptr : &model_[draw(model_.size())]; }
    /// The most recently used stands at the end.
    void use(const std::string& id) {
        const auto at = std::find_if(model_.begin(), model_.end(),
                                     [&](const auto& one) { return one.session.id == id; });
        at->session.updated_unix_s = clock_.unix_s();
        std::rotate(at, at + 1, model_.end());
    }
    std::string words() {
        static const char* const kWords[] = {"alpha ", "Übung ", "重力", "\n", "\"quote\" ", "б"};
        std::string out = "x";
        for (uint32_t i = draw(4); i > 0; --i) out += kWords[draw(6)];
        return out;
    }

    void add_session() {
        const std::string owner(1, static_cast<char>('a' + draw(2)));
        const Session made = create(owner, {.title = draw(2) == 0 ? words() : ""});
        model_.push_back({made, {}});
    }
    void change_session(PlainSession& one) {
        const std::string model = words();
        ASSERT_TRUE(sessions_->change(one.session.owner, one.session.id, {.model = model}));
        one.session.model = model;
        use(one.session.id);
    }
    void remove_session(PlainSession& one) {
        const std::string id = one.session.id;
        ASSERT_TRUE(sessions_->remove(one.session.owner, id));
        std::erase_if(model_, [&](const auto& other) { return other.session.id == id; });
        std::erase_if(under_way_, [&](const auto& plan) { return plan.session.id == id; });
    }
    void begin_turn(PlainSession& one) {
        TurnPlace place{What::Say, one.session.id, "", words()};
        const StoredMessage* some =
            one.messages.empty() ? nullptr : &one.messages[draw(one.messages.size())];
        if (some != nullptr && draw(3) == 0)
            place = {What::Regenerate, one.session.id, some->id, ""};
        if (some != nullptr && draw(3) == 0 && some->role == "user")
            place = {What::Edit, one.session.id, some->id, words()};
        const TurnPlan made = plan(place, one.session.owner);
        const auto begun = sessions_->begin(made);
        ASSERT_TRUE(begun) << begun.error().message;
        // What the plan should be is said again, in other words.
        if (made.question_is_new) {
            EXPECT_EQ(made.question.parent,
                      place.what == What::Edit ? some->parent : one.session.head);
            one.add(made.question);
        } else {
            const StoredMessage* question = some;
            while (question->role != "user") question = one.find(question->parent);
            EXPECT_EQ(made.question.id, question->id);
        }
        one.add(made.answer);
        EXPECT_EQ(made.answer.parent, made.question.id);
        if (one.session.title.empty()) {
            one.session.head = made.answer.id;
            one.session.title = sessions_->find(one.session.owner, one.session.id)->title;
        }
        one.session.head = made.answer.id;
        under_way_.push_back(made);
        use(one.session.id);
    }
    void write_answers() {
        std::vector<AnswerUpdate> updates;
        for (auto at = under_way_.begin(); at != under_way_.end();) {
            const bool ends = draw(2) == 0;
            StoredMessage answer = at->answer;
            answer.content = words() + words();
            answer.status = ends ? MessageStatus::Complete : MessageStatus::Writing;
            updates.push_back({at->session.id, answer});
            for (auto& one : model_)
                if (one.session.id == at->session.id) {
                    StoredMessage& old = *one.find(answer.id);
                    one.session.bytes += answer.content.size() - old.content.size();
                    old = answer;
                }
            at = ends ? under_way_.erase(at) : at + 1;
        }
        ASSERT_TRUE(sessions_->write(updates));
        // Which session of one write is used last is not promised: see check().
        for (const auto& update : updates)
            if (update.answer.status == MessageStatus::Complete) unordered_ = true;
    }
    void withdraw_turn() {
        if (under_way_.empty()) return;
        const TurnPlan plan = under_way_.back();
        PlainSession& one = *std::find_if(model_.begin(), model_.end(), [&](const auto& other) {
            return other.session.id == plan.session.id;
        });
        if (!one.siblings(plan.answer.id).empty() || plan.session.title.empty()) return;
        ASSERT_TRUE(sessions_->withdraw(plan));
        under_way_.pop_back();
        const bool alone = plan.question_is_new && one.siblings(plan.question.id).size() == 1;
        std::erase_if(one.messages, [&](const auto& message) {
            const bool gone =
                message.id == plan.answer.id || (alone && message.id == plan.question.id);
            one.session.messages -= gone ? 1 : 0;
            one.session.bytes -= gone ? message.content.size() : 0;
            return gone;
        });
        const std::string& head = one.session.head;
        if (head == plan.answer.id || (alone && head == plan.question.id))
            one.session.head =
                one.find(plan.session.head) != nullptr ? plan.session.head : plan.question.parent;
    }
    void move_head(PlainSession& one) {
        if (draw(2) == 0) {
            const auto branch = one.branch();
            const uint32_t count = draw(branch.size() + 2);
            const auto moved = sessions_->rollback(one.session.owner, one.session.id, count);
            ASSERT_EQ(moved.has_value(), count <= branch.size());
            if (!moved) return;
            one.session.head = count == branch.size() ? "" : branch[branch.size() - count - 1].id;
        } else {
            if (one.messages.empty()) return;
            const std::string top = one.messages[draw(one.messages.size())].id;
            ASSERT_TRUE(sessions_->show(one.session.owner, one.session.id, top));
            for (const auto& message : one.messages)
                if (one.is_below(message.id, top)) one.session.head = message.id;
        }
        use(one.session.id);
    }
    void reopen() {
        if (!keeps()) return;
        open();
        for (const auto& plan : under_way_)
            for (auto& one : model_)
                if (one.session.id == plan.session.id)
                    one.find(plan.answer.id)->status = MessageStatus::Interrupted;
        under_way_.clear();
    }

    void check() {
        for (const std::string owner : {"a", "b"}) {
            const auto page = sessions_->list(owner, "", 1000, "");
            ASSERT_TRUE(page);
            std::vector<std::string> listed, expected;
            for (const auto& one : page->sessions) listed.push_back(one.id);
            for (const auto& one : model_)
                if (one.session.owner == owner) expected.insert(expected.begin(), one.session.id);
            if (unordered_) std::sort(listed.begin(), listed.end());
            if (unordered_) std::sort(expected.begin(), expected.end());
            ASSERT_EQ(listed, expected);
        }
        if (unordered_) follow_order();
        for (auto& one : model_) check_session(one);
    }
    void follow_order() {
        std::map<std::string, int64_t> last;
        for (auto& one : model_) {
            const Session now = *sessions_->find(one.session.owner, one.session.id);
            last[now.id] = now.last_change;
            one.session.updated_unix_s = now.updated_unix_s;
        }
        std::sort(model_.begin(), model_.end(), [&](const auto& a, const auto& b) {
            return last[a.session.id] < last[b.session.id];
        });
        unordered_ = false;
    }
    void check_session(PlainSession& one) {
        const HistoryPage page = history(one.session.id, 1000, "", one.session.owner);
        const auto branch = one.branch();
        EXPECT_EQ(page.session.head, one.session.head);
        EXPECT_EQ(page.session.title, one.session.title);
        EXPECT_EQ(page.session.model, one.session.model);
        EXPECT_EQ(page.session.messages, one.session.messages);
        EXPECT_EQ(page.session.bytes, one.session.bytes);
        EXPECT_EQ(page.session.updated_unix_s, one.session.updated_unix_s);
        ASSERT_EQ(page.messages.size(), branch.size());
        for (size_t i = 0; i < branch.size(); ++i) {
            const StoredMessage& got = page.messages[i].message;
            EXPECT_EQ(got.id, branch[i].id);
            EXPECT_EQ(got.parent, branch[i].parent);
            EXPECT_EQ(got.role, branch[i].role);
            EXPECT_EQ(got.content, branch[i].content);
            EXPECT_EQ(got.status, branch[i].status);
            EXPECT_EQ(got.created_unix_s, branch[i].created_unix_s);
            EXPECT_EQ(page.messages[i].siblings, one.siblings(branch[i].parent));
        }
    }
    void step() {
        clock_.advance_us(draw(2) * 1'000'000);
        PlainSession* one = pick();
        const uint32_t what = one == nullptr ? 0 : draw(20);
        if (what < 2) return add_session();
        if (what == 2) return change_session(*one);
        if (what == 3) return remove_session(*one);
        if (what < 11) return begin_turn(*one);
        if (what < 14) return write_answers();
        if (what == 14) return withdraw_turn();
        if (what < 18) return move_head(*one);
        reopen();
    }

    std::mt19937 random_{0};
    std::vector<PlainSession> model_;
    std::vector<TurnPlan> under_way_;
    bool unordered_ = false;
};
INSTANTIATE_TEST_SUITE_P(Stores, Histories, testing::ValuesIn(store_names()), store_name);

TEST_P(Histories, ShowWhatAPlainModelShows) {
    for (uint32_t seed = 0; seed < (keeps() ? 3 : 20); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        random_.seed(seed);
        for (int i = 0; i < 100; ++i) {
            step();
            check();
            if (HasFailure()) FAIL() << "at step " << i;
        }
    }
}

}  // namespace
}  // namespace dunlin
