// A request's way, always on a worker, never on the I/O thread: parse, resolve the model, acquire
// its engine (perhaps after a load), prepare, submit. A refusal before the first event becomes its
// status code; anything else begins the answer.
#include <algorithm>
#include <cstdio>
#include <random>

#include "api/answer.h"
#include "api/context.h"
#include "chat/merged_generation.h"
#include "wire/openai.h"

namespace dunlin::endpoints {
namespace {

std::string new_id(std::string_view prefix) {
    static thread_local std::mt19937_64 draw{std::random_device{}()};
    char digits[24];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(draw()));
    return std::string(prefix) + digits;
}

std::variant<std::vector<Message>, std::string, std::vector<TokenId>> engine_prompt(
    WirePrompt& prompt) {
    if (auto* text = std::get_if<std::string>(&prompt)) return std::move(*text);
    return std::move(std::get<std::vector<int32_t>>(prompt));
}

/// All but the prompts of completions.
Request engine_request(WireRequest& wire, uint32_t tokens_max) {
    Request out;
    std::vector<Message> messages;
    for (auto& one : wire.messages)
        messages.push_back({std::move(one.role), std::move(one.content)});
    out.prompt = std::move(messages);
    out.sampling = {.temperature = static_cast<float>(wire.temperature),
                    .top_k = wire.top_k,
                    .top_p = static_cast<float>(wire.top_p),
                    .min_p = static_cast<float>(wire.min_p),
                    .repetition_penalty = static_cast<float>(wire.repetition_penalty),
                    .presence_penalty = static_cast<float>(wire.presence_penalty),
                    .frequency_penalty = static_cast<float>(wire.frequency_penalty),
                    .logit_bias = std::move(wire.logit_bias),
                    .seed = wire.seed};
    out.choices = wire.n;
    out.max_tokens = wire.max_tokens;
    // An absent max_tokens means the limit or what the context leaves; the engine knows the latter.
    if (tokens_max > 0 && wire.max_tokens) out.max_tokens = std::min(*wire.max_tokens, tokens_max);
    out.stop = std::move(wire.stop);
    out.ignore_eos = wire.ignore_eos;
    out.logprobs = wire.logprobs;
    return out;
}

/// One request on its way to an answer; kept alive by whoever calls it next.
class Turn : public std::enable_shared_from_this<Turn> {
 public:
    Turn(ApiContext& api, ExchangePtr exchange, Dialect dialect)
        : api_(api), exchange_(std::move(exchange)) {
        form_.dialect = dialect;
    }

    void parse() {
        if (exchange_->gone().stop_requested()) return;
        auto wire = parse_request(exchange_->request().body, form_.dialect,
                                  api_.settings.prompt_characters_max);
        if (!wire) return refuse(wire.error());
        auto id = api_.registry.resolve(wire->model);
        if (!id) return refuse(id.error());
        wire_ = std::move(*wire);
        form_.model = *id;
        api_.registry.acquire(*id, [self = shared_from_this()](auto engine) mutable {
            auto& workers = self->api_.workers;
            const bool taken = workers.post([self, engine = std::move(engine)]() mutable {
                if (engine)
                    self->submit(**engine);
                else
                    self->refuse(engine.error());
            });
            if (!taken) self->refuse({Code::Overloaded, "too many requests wait; try again"});
        });
    }

 private:
    void refuse(const Error& error) { dunlin::refuse(api_, *exchange_, error); }

    void submit(Engine& engine) {
        Request request = engine_request(wire_, api_.settings.response_tokens_max);
        if (!request.max_tokens && api_.settings.response_tokens_max > 0)
            lower_to_limit(request, engine);
        auto prepared = prepare(engine, request);
        if (!prepared) return refuse(prepared.error());
        if (exchange_->gone().stop_requested()) return;
        char digits[24];
        std::snprintf(digits, sizeof digits, "dunlin-%llx",
                      static_cast<unsigned long long>(engine.capabilities().arithmetic));
        form_.fingerprint = digits;
        form_.id = new_id(form_.dialect == Dialect::Chat ? "chatcmpl-" : "cmpl-");
        form_.created_unix_s = api_.clock.unix_s();
        form_.choices = wire_.n * static_cast<uint32_t>(prepared->size());
        form_.include_usage = wire_.include_usage;
        form_.logprobs = wire_.logprobs.has_value();
        headers_.emplace_back("x-max-tokens", std::to_string(prepared->front()->max_tokens()));
        add_ignored();
        std::vector<std::shared_ptr<Generation>> parts;
        for (auto& one : *prepared) parts.push_back(engine.submit(std::move(one), Admission{}));
        generation_ = merge_generations(std::move(parts), wire_.n);
        on_gone_ = std::make_unique<OnGone>(exchange_->gone(), Cancel{generation_});
        if (wire_.stream)
            stream();
        else
            read();
    }

    /// One for chat, and one a prompt for completions; all or none.
    Expected<std::vector<std::unique_ptr<Prepared>>> prepare(Engine& engine, Request& request) {
        std::vector<std::unique_ptr<Prepared>> all;
        const size_t count = std::max<size_t>(1, wire_.prompts.size());
        for (size_t i = 0; i < count; ++i) {
            if (!wire_.prompts.empty()) request.prompt = engine_prompt(wire_.prompts[i]);
            if (wire_.echo) {
                const auto text = echo_text(engine, request);
                if (!text) return std::unexpected(text.error());
                form_.echo.insert(form_.echo.end(), wire_.n, *text);
            }
            auto one = engine.prepare(request, exchange_->gone());
            if (!one) return std::unexpected(one.error());
            all.push_back(std::move(*one));
        }
        return all;
    }

    static Expected<std::string> echo_text(const Engine& engine, const Request& request) {
        if (const auto* text = std::get_if<std::string>(&request.prompt)) return *text;
        auto text = engine.detokenize(std::get<std::vector<TokenId>>(request.prompt));
        if (!text) return fail(Code::Invalid, text.error().message, "prompt");
        return lossy_utf8(*text);
    }

    void lower_to_limit(Request& request, Engine& engine) {
        request.max_tokens =
            std::min(api_.settings.response_tokens_max, engine.capabilities().sequence_tokens_max);
    }

    void add_ignored() {
        std::string names;
        for (const auto& name : wire_.ignored)
            if (names.size() + name.size() < 1024 &&
                std::all_of(name.begin(), name.end(),
                            [](char c) { return c > ' ' && c < 127 && c != ','; }))
                names += (names.empty() ? "" : ", ") + name;
        if (!names.empty()) headers_.emplace_back("x-ignored-params", names);
    }

    void read() {
        const size_t before = events_.size();
        generation_->read(before, 4096, events_);
        if (events_.empty()) return wait();
        if (const auto* failed = std::get_if<Failed>(&events_.back())) return refuse(failed->error);
        if (!std::holds_alternative<Done>(events_.back())) return wait();
        HttpResponse response = json_response(200, whole_answer(form_, events_));
        response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
        exchange_->respond(std::move(response));
    }

    void wait() {
        generation_->wake_on_event(events_.size(), [self = shared_from_this()]() noexcept {
            // Dropped only while the server stops; the client's connection closes then.
            self->api_.workers.post([self] { self->read(); });
        });
    }

    void stream() {
        headers_.emplace_back("Content-Type", "text/event-stream");
        headers_.emplace_back("Cache-Control", "no-cache");
        headers_.emplace_back("X-Accel-Buffering", "no");
        exchange_->respond({.status = 200,
                            .headers = std::move(headers_),
                            .body = {},
                            .stream = answer_stream(form_, generation_, api_.metrics)});
    }

    struct Cancel {
        std::shared_ptr<Generation> generation;
        void operator()() const noexcept { generation->cancel(); }
    };
    using OnGone = std::stop_callback<Cancel>;

    ApiContext& api_;
    ExchangePtr exchange_;
    AnswerForm form_;
    WireRequest wire_;
    HttpHeaders headers_;
    std::shared_ptr<Generation> generation_;
    std::unique_ptr<OnGone> on_gone_;
    std::vector<Event> events_;
};

void answer(ApiContext& api, const ExchangePtr& exchange, Dialect dialect) {
    if (api.draining) return refuse(api, *exchange, {Code::NotReady, "the server is stopping"});
    const auto turn = std::make_shared<Turn>(api, exchange, dialect);
    if (!api.workers.post([turn] { turn->parse(); }))
        refuse(api, *exchange, {Code::Overloaded, "too many requests wait; try again"});
}

}  // namespace

void completions(ApiContext& api, const Call& call) {
    answer(api, call.exchange, Dialect::Completions);
}

void chat_completions(ApiContext& api, const Call& call) {
    answer(api, call.exchange, Dialect::Chat);
}

}  // namespace dunlin::endpoints
