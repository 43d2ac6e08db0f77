#include "api/chat_messages.h"

#include "api/turn_request.h"
#include "wire/openai.h"
#include "wire/parameters.h"

namespace dunlin {
namespace {

constexpr size_t kIdMax = 64;

Json frame(std::string_view type, std::string_view id, std::string_view session) {
    return Json::Object{{"type", type}, {"id", or_null(id)}, {"session_id", or_null(session)}};
}

std::string text_of(const Json& message) {
    const auto text = write_json(message);
    return text ? *text : error_message(text.error(), {}, {}, {});
}

Json milliseconds(const std::optional<double>& value) {
    return value ? Json(*value) : Json();
}

/// The body of POST /chat/completions that a message stands for.
Expected<Json> body_of(const ChatMessage& message, std::string_view text) {
    const Json* params = message.body.find("params");
    Json out(Json::Object{});
    if (params && !params->is_null()) {
        if (!params->object()) return fail(Code::Invalid, "'params' must be an object", "params");
        for (const auto& [key, value] : *params->object())
            if (!is_answer_parameter(key))
                return fail(Code::Invalid, "'" + key + "' has no place in 'params'",
                            "params." + key);
        out = *params;
    }
    out.set("messages", Json::Array{Json::Object{{"role", "user"}, {"content", text}}});
    return out;
}

/// The field of the message, for one of the body.
std::string field_of(std::string param) {
    if (param.starts_with("messages")) return "message";
    if (param.empty() || param == "session_id" || param == "model") return param;
    return "params." + param;
}

TurnPlace::What what_of(std::string_view type) {
    return type == "edit"         ? TurnPlace::What::Edit
           : type == "regenerate" ? TurnPlace::What::Regenerate
                                  : TurnPlace::What::Say;
}

Json start_message(const EventView& view, const Started& started) {
    const TurnFacts& facts = view.turn.facts();
    Json out = frame("start", view.id, facts.session);
    out.set("message_id", facts.answer)
        .set("user_message_id", facts.question)
        .set("model", facts.model)
        .set("prompt_tokens", started.prompt_tokens)
        .set("cached_tokens", started.cached_tokens)
        .set("max_tokens", facts.max_tokens)
        .set("omitted_messages", facts.omitted_messages)
        .set("truncated_characters", facts.truncated_characters)
        .set("resumed", view.resumed);
    return out;
}

Json done_message(const EventView& view, const Done& done) {
    const Timings& t = done.timings;
    Json out = frame("done", view.id, view.turn.facts().session);
    out.set("seq", view.seq)
        .set("finish_reason", to_string(view.end))
        .set("usage", usage_json(done.usage.prompt_tokens, done.usage.cached_tokens,
                                 done.usage.completion_tokens))
        .set("timings", Json::Object{{"queue_ms", milliseconds(t.queue_ms)},
                                     {"prefill_ms", milliseconds(t.prefill_ms)},
                                     {"first_token_ms", milliseconds(t.first_token_ms)},
                                     {"decode_ms", milliseconds(t.decode_ms)}})
        .set("saved", view.turn.saved());
    return out;
}

}  // namespace

Expected<ChatMessage> read_chat_message(std::string_view text) {
    auto body = read_json(text);
    if (!body) return std::unexpected(body.error());
    if (!body->object()) return fail(Code::Invalid, "a message must be a JSON object");
    auto type = text_member(*body, "type", true);
    if (!type) return std::unexpected(type.error());
    auto id = text_member(*body, "id", false);
    if (!id) return std::unexpected(id.error());
    if (id->size() > kIdMax) return fail(Code::Invalid, "'id' must be of 1 to 64 characters", "id");
    return ChatMessage{std::move(*type), std::move(*id), std::move(*body)};
}

Expected<std::string> text_member(const Json& body, std::string_view name, bool needed) {
    const Json* value = body.find(name);
    if (!value || value->is_null()) {
        if (!needed) return std::string();
        return fail(Code::Invalid, "'" + std::string(name) + "' is missing", std::string(name));
    }
    if (!value->string() || value->string()->empty())
        return fail(Code::Invalid, "'" + std::string(name) + "' must be a string that is not empty",
                    std::string(name));
    return *value->string();
}

Expected<TurnRequest> chat_turn(ApiContext& api, const Caller& caller, const ChatMessage& message) {
    const auto what = what_of(message.type);
    const auto session_id = text_member(message.body, "session_id", what != TurnPlace::What::Say);
    if (!session_id) return std::unexpected(session_id.error());
    const auto place_at = text_member(message.body, "message_id", what == TurnPlace::What::Edit);
    if (!place_at) return std::unexpected(place_at.error());
    const auto text = text_member(message.body, "message", what != TurnPlace::What::Regenerate);
    if (!text) return std::unexpected(text.error());
    auto model = text_member(message.body, "model", false);
    if (!model) return std::unexpected(model.error());

    // Another answer says nothing, but the table of request parameters wants a message.
    auto body = body_of(message, what == TurnPlace::What::Regenerate ? "again" : *text);
    if (!body) return std::unexpected(body.error());
    if (!model->empty()) body->set("model", *model);
    WireRequest wire;
    auto request = turn_request(api, caller, std::move(*body), Dialect::Chat,
                                TurnPlace{what, *session_id, *place_at, {}}, wire);
    if (!request) {
        Error error = request.error();
        error.param = field_of(std::move(error.param));
        return std::unexpected(std::move(error));
    }
    if (!model->empty()) request->new_session.model = std::move(*model);
    return request;
}

std::string plain_message(std::string_view type, std::string_view id) {
    return text_of(Json::Object{{"type", type}, {"id", or_null(id)}});
}

std::string error_message(const Error& error, std::string_view id, std::string_view session,
                          std::optional<uint64_t> seq) {
    Json out = frame("error", id, session);
    const Json body = error_body(error);
    out.set("error", *body.find("error"));
    if (const auto wait_s = retry_after_s(error)) out.set("retry_after_s", *wait_s);
    if (seq) out.set("seq", *seq);
    return text_of(out);
}

std::string event_message(const EventView& view, const Event& event) {
    const std::string& session = view.turn.facts().session;
    if (const auto* waiting = std::get_if<Waiting>(&event)) {
        Json out = frame("queued", view.id, session);
        out.set("position", waiting->position)
            .set("eta_ms", view.eta_ms ? Json(*view.eta_ms) : Json());
        return text_of(out);
    }
    if (const auto* started = std::get_if<Started>(&event))
        return text_of(start_message(view, *started));
    if (const auto* text = std::get_if<Text>(&event)) {
        Json out = frame("token", view.id, session);
        out.set("seq", view.seq).set("text", text->utf8);
        return text_of(out);
    }
    if (const auto* done = std::get_if<Done>(&event)) return text_of(done_message(view, *done));
    if (const auto* failed = std::get_if<Failed>(&event))
        return error_message(failed->error, view.id, view.started ? session : "", view.seq);
    return {};
}

}  // namespace dunlin
