// How an answer begins, step by step; every step that fails takes back what those before it did.
#include "access/owner.h"
#include "base/check.h"
#include "chat/context.h"
#include "chat/merged_generation.h"
#include "chat/turns_state.h"

namespace dunlin {

class Turns::Start : public std::enable_shared_from_this<Turns::Start> {
 public:
    Start(std::shared_ptr<State> turns, TurnRequest request, std::stop_token gone, Begun begun)
        : turns_(std::move(turns)),
          request_(std::move(request)),
          gone_(std::move(gone)),
          begun_(std::move(begun)) {}

    void acquire() {
        turns_->registry.acquire(request_.model, [self = shared_from_this()](auto engine) mutable {
            const bool taken =
                self->turns_->workers.post([self, engine = std::move(engine)]() mutable {
                    self->begun_(engine ? self->run(**engine) : refusal(engine.error()));
                });
            if (!taken) self->begun_(fail(Code::Overloaded, "too many requests wait; try again"));
        });
    }

 private:
    static Expected<TurnReader> refusal(const Error& error) { return std::unexpected(error); }

    Expected<TurnReader> run(Engine& engine) {
        if (gone_.stop_requested()) return refusal({Code::Cancelled, "the client has gone"});
        if (auto place = take_place(); !place) return give_up(place.error());
        if (plan_) fill_in_context();
        auto parts = prepare(engine);
        if (!parts) return give_up(parts.error());
        if (gone_.stop_requested()) return give_up({Code::Cancelled, "the client has gone"});
        if (plan_)
            if (const auto stored = turns_->sessions.begin(*plan_); !stored)
                return give_up(stored.error());
        return TurnReader(submit(engine, std::move(*parts)));
    }

    /// Reserves the session, or makes one, and finds where the messages go.
    Expected<void> take_place() {
        if (!request_.place) {
            entry_ = *turns_->reserve({});
            return {};
        }
        if (request_.place->session.empty()) {
            const auto made = turns_->sessions.create(request_.owner, request_.new_session);
            if (!made) return std::unexpected(made.error());
            request_.place->session = made->id;
            made_ = true;
        }
        auto entry = turns_->reserve(request_.place->session);
        if (!entry) return std::unexpected(entry.error());
        entry_ = std::move(*entry);
        auto plan = turns_->sessions.plan(request_.owner, *request_.place);
        if (!plan) return std::unexpected(plan.error());
        plan_ = std::move(*plan);
        plan_->answer.model = request_.model;
        return {};
    }

    void fill_in_context() {
        CHECK(request_.requests.size() == 1);
        std::vector<Message> messages;
        if (!plan_->session.system.empty()) messages.push_back({"system", plan_->session.system});
        for (const auto& message : plan_->context)
            messages.push_back({message.role, message.content});
        request_.requests[0].prompt = std::move(messages);
    }

    Expected<std::vector<std::unique_ptr<Prepared>>> prepare(Engine& engine) {
        std::vector<std::unique_ptr<Prepared>> parts;
        for (const Request& request : request_.requests) {
            if (!std::holds_alternative<std::vector<Message>>(request.prompt)) {
                auto part = engine.prepare(request, gone_);
                if (!part) return std::unexpected(part.error());
                parts.push_back(std::move(*part));
                continue;
            }
            const auto count = plan_ ? static_cast<uint32_t>(plan_->context.size()) : 0;
            const uint32_t omitted = omitted_messages(count, turns_->settings.context_messages);
            auto fitted =
                prepare_fitting(engine, request, omitted, plan_ || request_.may_trim, gone_);
            if (!fitted) return std::unexpected(fitted.error());
            facts_.omitted_messages = fitted->omitted;
            parts.push_back(std::move(fitted->prepared));
        }
        return parts;
    }

    std::shared_ptr<Turn> submit(Engine& engine, std::vector<std::unique_ptr<Prepared>> parts) {
        facts_.model = request_.model;
        facts_.truncated_characters = request_.truncated_characters;
        facts_.arithmetic = engine.capabilities().arithmetic;
        facts_.max_tokens = parts.front()->max_tokens();
        for (const auto& part : parts) facts_.prompt_tokens += part->prompt_tokens();
        if (plan_) {
            facts_.session = plan_->session.id;
            facts_.question = plan_->question.id;
            facts_.answer = plan_->answer.id;
        }
        const Admission admission{.domain = prefix_domain(request_.owner),
                                  .deadline_us = request_.deadline_us};
        std::vector<std::shared_ptr<Generation>> generations;
        for (auto& part : parts) generations.push_back(engine.submit(std::move(part), admission));
        auto turn = std::make_shared<Turn>(
            merge_generations(std::move(generations), request_.requests.front().choices),
            std::move(facts_), std::move(request_.owner), std::move(plan_), made_, turns_->clock);
        turns_->follow(entry_, turn);
        return turn;
    }

    Expected<TurnReader> give_up(const Error& error) {
        if (entry_) turns_->give_back(entry_);
        if (made_) (void)turns_->sessions.remove(request_.owner, request_.place->session);
        return refusal(error);
    }

    const std::shared_ptr<State> turns_;
    TurnRequest request_;
    const std::stop_token gone_;
    Begun begun_;
    std::shared_ptr<Entry> entry_;
    std::optional<TurnPlan> plan_;
    bool made_ = false;
    TurnFacts facts_;
};

void Turns::begin(TurnRequest request, std::stop_token gone, Begun begun) {
    std::make_shared<Start>(state_, std::move(request), std::move(gone), std::move(begun))
        ->acquire();
}

}  // namespace dunlin
