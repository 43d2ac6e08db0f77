#include "api/session_json.h"

#include "wire/openai.h"

namespace dunlin {
namespace {

/// One line of Markdown that says what the text says: marks of Markdown are escaped.
std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (std::string_view("\\`*_{}[]<>#|").find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
    return out;
}

}  // namespace

Json session_json(const ApiContext& api, const Session& session) {
    const int64_t ttl_s = api.sessions.limits().ttl_s;
    auto parameters = read_json(session.parameters);
    Json out(Json::Object{});
    out.set("id", session.id)
        .set("object", "session")
        .set("title", or_null(session.title))
        .set("model", or_null(session.model))
        .set("system", or_null(session.system))
        .set("parameters", parameters ? std::move(*parameters) : Json(Json::Object{}))
        .set("created", session.created_unix_s)
        .set("updated", session.updated_unix_s)
        .set("expires", ttl_s == 0 ? Json() : Json(session.updated_unix_s + ttl_s))
        .set("messages", session.messages)
        .set("head", or_null(session.head))
        .set("answering", api.turns->is_answering(session.id));
    return out;
}

Json message_json(const ShownMessage& shown) {
    const StoredMessage& message = shown.message;
    const bool is_answer = message.role == "assistant";
    Json::Array siblings(shown.siblings.begin(), shown.siblings.end());
    Json out(Json::Object{});
    out.set("id", message.id)
        .set("role", message.role)
        .set("content", message.content)
        .set("created", message.created_unix_s)
        .set("parent", or_null(message.parent))
        .set("status", to_string(message.status))
        .set("model", or_null(message.model))
        .set("finish_reason", or_null(message.finish_reason))
        .set("usage", is_answer
                          ? Json(Json::Object{{"prompt_tokens", message.prompt_tokens},
                                              {"completion_tokens", message.completion_tokens},
                                              {"total_tokens", uint64_t{message.prompt_tokens} +
                                                                   message.completion_tokens}})
                          : Json())
        .set("siblings", std::move(siblings));
    return out;
}

std::string session_markdown(const HistoryPage& page) {
    const Session& session = page.session;
    std::string out = "# " + (session.title.empty() ? session.id : escaped(session.title)) + "\n";
    if (!session.model.empty()) out += "\nModel: " + escaped(session.model) + "\n";
    if (!session.system.empty()) out += "\n## System\n\n" + session.system + "\n";
    for (const auto& [message, siblings] : page.messages) {
        out += message.role == "user" ? "\n## User\n\n" : "\n## Assistant\n\n";
        out += message.content + "\n";
        if (message.status != MessageStatus::Complete)
            out += "\n*(" + std::string(to_string(message.status)) + ")*\n";
    }
    return out;
}

Expected<HttpResponse> session_response(const ApiContext& api, int status,
                                        const Expected<Session>& session) {
    if (!session) return std::unexpected(session.error());
    return json_response(status, session_json(api, *session));
}

void answer_on_worker(ApiContext& api, const Call& call, SessionWork work) {
    run_on_worker(api, call.exchange, [&api, call, work] {
        if (call.exchange->gone().stop_requested()) return;
        auto response = work(api, call);
        if (!response) return refuse(api, *call.exchange, response.error());
        call.exchange->respond(std::move(*response));
    });
}

Expected<void> check_not_answering(const ApiContext& api, std::string_view session) {
    if (!api.turns->is_answering(session)) return {};
    return fail(Code::Conflict,
                "an answer of this session is being written; stop it, or wait for its end");
}

}  // namespace dunlin
