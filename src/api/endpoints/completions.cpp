// A request's way, on workers, never on the I/O thread: parse, begin the turn (which loads,
// prepares, stores and submits), and read it. A refusal before the first event becomes its status
// code; anything else begins the answer.
#include <algorithm>
#include <cstdio>
#include <random>

#include "api/answer.h"
#include "api/context.h"
#include "api/turn_request.h"

namespace dunlin::endpoints {
namespace {

/// A name for one answer: `prefix` and 16 random hexadecimal digits. Not a secret.
std::string new_id(std::string_view prefix) {
    static thread_local std::mt19937_64 draw{std::random_device{}()};
    char digits[24];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(draw()));
    return std::string(prefix) + digits;
}

/// One request on its way to an answer; kept alive by whoever calls it next.
class Answering : public std::enable_shared_from_this<Answering> {
 public:
    Answering(ApiContext& api, const Call& call, Dialect dialect)
        : api_(api), exchange_(call.exchange), caller_(call.caller) {
        form_.dialect = dialect;
    }

    void parse() {
        if (exchange_->gone().stop_requested()) return;
        auto request = read();
        if (!request) return refuse(request.error());
        api_.turns->begin(std::move(*request), exchange_->gone(),
                          [self = shared_from_this()](Expected<TurnReader> reader) {
                              if (reader)
                                  self->answer(std::move(*reader));
                              else
                                  self->refuse(reader.error());
                          });
    }

 private:
    void refuse(const Error& error) { dunlin::refuse(api_, *exchange_, error); }

    Expected<TurnRequest> read() {
        auto body = read_json(exchange_->request().body);
        if (!body) return std::unexpected(body.error());
        std::optional<TurnPlace> place;
        const Json* id = body->find("session_id");
        if (form_.dialect == Dialect::Chat && id && id->string())
            place = TurnPlace{.session = *id->string(), .message = {}, .text = {}};
        return turn_request(api_, caller_, std::move(*body), form_.dialect, std::move(place),
                            wire_);
    }

    void answer(TurnReader reader) {
        const TurnFacts& facts = reader->facts();
        form_.id = new_id(form_.dialect == Dialect::Chat ? "chatcmpl-" : "cmpl-");
        form_.created_unix_s = api_.clock.unix_s();
        form_.model = facts.model;
        form_.fingerprint = fingerprint(facts.arithmetic);
        form_.choices = wire_.n * static_cast<uint32_t>(std::max<size_t>(1, wire_.prompts.size()));
        form_.include_usage = wire_.include_usage;
        form_.logprobs = wire_.logprobs.has_value();
        if (wire_.echo) add_echo();
        add_headers(facts);
        if (wire_.stream) return stream(std::move(reader));
        reader_ = std::make_unique<TurnReader>(std::move(reader));
        on_gone_ = std::make_unique<OnGone>(exchange_->gone(), Leave{shared_from_this()});
        follow();
    }

    void add_echo() {
        const auto engine = api_.registry.loaded(form_.model);
        for (const WirePrompt& prompt : wire_.prompts) {
            std::string text;
            if (const auto* given = std::get_if<std::string>(&prompt))
                text = *given;
            else if (engine)
                text = lossy_utf8(
                    engine->detokenize(std::get<std::vector<int32_t>>(prompt)).value_or(""));
            form_.echo.insert(form_.echo.end(), wire_.n, text);
        }
    }

    void add_headers(const TurnFacts& facts) {
        headers_.emplace_back("x-max-tokens", std::to_string(facts.max_tokens));
        if (!facts.session.empty()) {
            headers_.emplace_back("x-session-id", facts.session);
            headers_.emplace_back("x-message-id", facts.answer);
            headers_.emplace_back("x-user-message-id", facts.question);
        }
        if (facts.omitted_messages > 0)
            headers_.emplace_back("x-truncated-messages", std::to_string(facts.omitted_messages));
        if (facts.truncated_characters > 0)
            headers_.emplace_back("x-truncated-characters",
                                  std::to_string(facts.truncated_characters));
        std::string names;
        for (const auto& name : wire_.ignored)
            if (names.size() + name.size() < 1024 &&
                std::all_of(name.begin(), name.end(),
                            [](char c) { return c > ' ' && c < 127 && c != ','; }))
                names += (names.empty() ? "" : ", ") + name;
        if (!names.empty()) headers_.emplace_back("x-ignored-params", names);
    }

    void follow() {
        TurnReader& reader = *reader_;
        reader->read(events_.size(), 4096, events_);
        if (events_.empty() || !is_last(events_.back())) return wait();
        if (const auto* failed = std::get_if<Failed>(&events_.back())) return refuse(failed->error);
        HttpResponse response = json_response(200, whole_answer(form_, events_));
        response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
        if (!reader->facts().session.empty())
            response.headers.emplace_back("x-session-saved", reader->saved() ? "true" : "false");
        exchange_->respond(std::move(response));
    }

    void wait() {
        (*reader_)->wake_on_event(events_.size(), [self = shared_from_this()]() noexcept {
            // Dropped only while the server stops; the client's connection closes then.
            self->api_.workers.post([self] { self->follow(); });
        });
    }

    void stream(TurnReader reader) {
        headers_.emplace_back("Content-Type", "text/event-stream");
        headers_.emplace_back("Cache-Control", "no-cache");
        headers_.emplace_back("X-Accel-Buffering", "no");
        exchange_->respond({.status = 200,
                            .headers = std::move(headers_),
                            .body = {},
                            .stream = answer_stream(form_, std::move(reader), api_.metrics)});
    }

    /// The client has gone: it reads no more.
    struct Leave {
        std::weak_ptr<Answering> answering;
        void operator()() const noexcept {
            const auto self = answering.lock();
            if (self && self->reader_) (*self->reader_).leave();
        }
    };
    using OnGone = std::stop_callback<Leave>;

    ApiContext& api_;
    const ExchangePtr exchange_;
    const Caller caller_;
    AnswerForm form_;
    WireRequest wire_;
    HttpHeaders headers_;
    std::unique_ptr<TurnReader> reader_;
    std::unique_ptr<OnGone> on_gone_;
    std::vector<Event> events_;
};

void answer(ApiContext& api, const Call& call, Dialect dialect) {
    if (api.draining)
        return refuse(api, *call.exchange, {Code::NotReady, "the server is stopping"});
    const auto answering = std::make_shared<Answering>(api, call, dialect);
    run_on_worker(api, call.exchange, [answering] { answering->parse(); });
}

}  // namespace

void completions(ApiContext& api, const Call& call) {
    answer(api, call, Dialect::Completions);
}

void chat_completions(ApiContext& api, const Call& call) {
    answer(api, call, Dialect::Chat);
}

}  // namespace dunlin::endpoints
