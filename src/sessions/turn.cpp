// How a turn stands in its session: first a plan, which only reads, so that everything that can
// refuse the turn can still do so; then begin(), which stores the question and an empty answer;
// then what has been written, again and again, until the answer has ended.
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "sessions/plain_text.h"
#include "sessions/random_id.h"
#include "sessions/sessions.h"
#include "sessions/state.h"

namespace dunlin {
namespace {

std::unexpected<Error> too_large(uint64_t would_be, const char* what, uint64_t most) {
    return fail(Code::TooLarge, "this session would have " + std::to_string(would_be) + " " + what +
                                    ", and " + std::to_string(most) +
                                    " are the limit; begin another one");
}

/// Whether the session has room for the turn. The answer's own text is not known yet: it may
/// exceed the bytes once, by what one answer can have.
Expected<void> check_room(const Session& session, const StoredMessage* question,
                          const SessionLimits& limits) {
    const uint64_t messages = uint64_t{session.messages} + (question == nullptr ? 1 : 2);
    if (messages > limits.messages_max) return too_large(messages, "messages", limits.messages_max);
    const uint64_t bytes = session.bytes + (question == nullptr ? 0 : question->content.size());
    if (bytes > limits.session_bytes_max)
        return too_large(bytes, "bytes", limits.session_bytes_max);
    return {};
}

/// The question of the plan: a new one, or one that is there.
Expected<StoredMessage> place_question(const TurnPlace& place, const Session& session,
                                       const MessageTree& tree) {
    StoredMessage question;
    question.role = "user";
    if (place.what == TurnPlace::What::Regenerate) {
        const std::string& from = place.message.empty() ? session.head : place.message;
        if (!from.empty() && tree.find(from) == nullptr) return no_such_message("message_id");
        const MessageLink* const link = tree.question_of(from);
        if (link == nullptr)
            return fail(Code::Invalid, "there is no question yet that could be answered again",
                        "message_id");
        question.id = link->id;
        question.parent = link->parent;
        return question;
    }
    if (place.text.empty()) return fail(Code::Invalid, "the message is empty", "message");
    if (!is_utf8(place.text)) return fail(Code::Invalid, "the message is not UTF-8", "message");
    question.content = place.text;
    question.parent = session.head;
    if (place.what == TurnPlace::What::Edit) {
        const MessageLink* const link = tree.find(place.message);
        if (link == nullptr) return no_such_message("message_id");
        if (link->role != "user")
            return fail(Code::Invalid, "only questions can be edited, and this is an answer",
                        "message_id");
        question.parent = link->parent;
    }
    auto id = random_id("msg_");
    if (!id) return std::unexpected(id.error());
    question.id = std::move(*id);
    return question;
}

}  // namespace

Expected<TurnPlan> Sessions::plan(std::string_view owner, const TurnPlace& place) {
    const std::shared_lock lock(state_->mutex);
    auto session = state_->owned(owner, place.session);
    if (!session) return std::unexpected(session.error());
    const auto tree = state_->tree(*session);
    if (!tree) return std::unexpected(tree.error());
    auto question = place_question(place, *session, *tree);
    if (!question) return std::unexpected(question.error());
    auto answer_id = random_id("msg_");
    if (!answer_id) return std::unexpected(answer_id.error());

    TurnPlan plan;
    plan.question_is_new = place.what != TurnPlace::What::Regenerate;
    const StoredMessage* const added = plan.question_is_new ? &*question : nullptr;
    if (auto room = check_room(*session, added, state_->limits); !room)
        return std::unexpected(room.error());
    const std::string& last = plan.question_is_new ? question->parent : question->id;
    auto context = state_->store->messages(session->id, tree->path(last));
    if (!context) return std::unexpected(context.error());
    plan.context = std::move(*context);
    question->created_unix_s = state_->clock.unix_s();
    if (plan.question_is_new)
        plan.context.push_back(*question);
    else if (!plan.context.empty())
        *question = plan.context.back();
    plan.question = std::move(*question);
    plan.answer.id = std::move(*answer_id);
    plan.answer.parent = plan.question.id;
    plan.answer.role = "assistant";
    plan.answer.model = session->model;
    plan.answer.status = MessageStatus::Writing;
    plan.answer.created_unix_s = state_->clock.unix_s();
    plan.session = std::move(*session);
    return plan;
}

Expected<void> Sessions::begin(const TurnPlan& plan) {
    const std::lock_guard lock(state_->mutex);
    auto session = state_->owned(plan.session.owner, plan.session.id);
    if (!session) return std::unexpected(session.error());
    const auto tree = state_->tree(*session);
    if (!tree) return std::unexpected(tree.error());
    // Since the plan the session may have changed.
    const StoredMessage* const added = plan.question_is_new ? &plan.question : nullptr;
    const std::string& above = added != nullptr ? plan.question.parent : plan.question.id;
    if (!above.empty() && tree->find(above) == nullptr) return no_such_message();
    if (tree->find(plan.answer.id) != nullptr)
        return fail(Code::Invalid, "this turn has begun already");
    if (auto room = check_room(*session, added, state_->limits); !room) return room;

    StoreChanges changes;
    if (added != nullptr) {
        changes.messages.push_back({session->id, *added});
        session->messages += 1;
        session->bytes += added->content.size();
    }
    changes.messages.push_back({session->id, plan.answer});
    session->messages += 1;
    session->bytes += plan.answer.content.size();
    session->head = plan.answer.id;
    if (session->title.empty() && !plan.context.empty())
        session->title = title_from(plan.context.front().content);
    state_->touch(*session);
    changes.sessions.push_back(std::move(*session));
    return state_->store->apply(changes);
}

Expected<void> Sessions::withdraw(const TurnPlan& plan) {
    const std::lock_guard lock(state_->mutex);
    auto session = state_->owned(plan.session.owner, plan.session.id);
    if (!session) return std::unexpected(session.error());
    const auto tree = state_->tree(*session);
    if (!tree) return std::unexpected(tree.error());
    if (tree->find(plan.answer.id) == nullptr) return {};
    StoreChanges changes;
    const auto take_back = [&](const StoredMessage& message) {
        const MessageLink* const link = tree->find(message.id);
        if (link == nullptr) return;
        changes.removed_messages.emplace_back(session->id, message.id);
        session->messages -= 1;
        session->bytes -= link->bytes;
    };
    if (tree->children(plan.answer.id) > 0)
        return fail(Code::Invalid, "the conversation has gone on below this answer");
    take_back(plan.answer);
    const bool alone = plan.question_is_new && tree->children(plan.question.id) <= 1;
    if (alone) take_back(plan.question);
    // The head may have been moved up to the question meanwhile.
    if (session->head == plan.answer.id || (alone && session->head == plan.question.id))
        session->head =
            tree->find(plan.session.head) != nullptr ? plan.session.head : plan.question.parent;
    if (plan.session.title.empty() && !plan.context.empty() &&
        session->title == title_from(plan.context.front().content))
        session->title.clear();
    changes.sessions.push_back(std::move(*session));
    return state_->store->apply(changes);
}

Expected<void> Sessions::State::add_answers(Session session,
                                            std::span<const StoredMessage* const> answers,
                                            StoreChanges& changes) {
    std::vector<std::string> ids;
    for (const StoredMessage* answer : answers) ids.push_back(answer->id);
    const auto stored = store->messages(session.id, ids);
    if (!stored) return std::unexpected(stored.error());
    std::map<std::string, StoredMessage> now;
    for (const StoredMessage& message : *stored) now.emplace(message.id, message);
    std::set<std::string> written;
    bool ended = false;
    for (const StoredMessage* answer : answers) {
        const auto old = now.find(answer->id);
        if (old == now.end() || old->second.status != MessageStatus::Writing) continue;
        StoredMessage next = *answer;
        next.parent = old->second.parent;
        next.role = old->second.role;
        next.created_unix_s = old->second.created_unix_s;
        session.bytes = session.bytes - old->second.content.size() + next.content.size();
        ended = ended || next.status != MessageStatus::Writing;
        old->second = std::move(next);
        written.insert(answer->id);
    }
    if (written.empty()) return {};
    for (const std::string& id : written)
        changes.messages.push_back({session.id, std::move(now.at(id))});
    if (ended) touch(session);
    changes.sessions.push_back(std::move(session));
    return {};
}

Expected<void> Sessions::write(std::span<const AnswerUpdate> updates) {
    const std::lock_guard lock(state_->mutex);
    std::unordered_map<std::string_view, std::vector<const StoredMessage*>> by_session;
    for (const AnswerUpdate& update : updates) {
        if (!is_utf8(update.answer.content)) return fail(Code::Invalid, "an answer is not UTF-8");
        by_session[update.session].push_back(&update.answer);
    }
    StoreChanges changes;
    for (const auto& [id, answers] : by_session) {
        auto session = state_->store->session(id);
        if (!session) return std::unexpected(session.error());
        if (!*session) continue;
        if (auto added = state_->add_answers(std::move(**session), answers, changes); !added)
            return added;
    }
    if (changes.messages.empty()) return {};
    return state_->store->apply(changes);
}

}  // namespace dunlin
