#include <algorithm>

#include "base/check.h"
#include "json/json.h"
#include "sessions/file_format.h"

namespace dunlin {
namespace {

std::string line(const Json& value) {
    auto text = write_json(value);
    CHECK(text.has_value());  // all numbers are integers, or come from read_json()
    return std::move(*text);
}

/// All but the messages; fields without a value are left out.
Expected<Json> session_head(const Session& session) {
    Json out(Json::Object{});
    out.set("id", session.id);
    const auto add = [&](const char* name, const std::string& text) {
        if (!text.empty()) out.set(name, text);
    };
    add("owner", session.owner);
    add("title", session.title);
    add("model", session.model);
    add("system", session.system);
    if (!session.parameters.empty()) {
        auto parameters = read_json(session.parameters);
        if (!parameters)
            return fail(Code::Corrupt, "the parameters of session " + session.id +
                                           " are damaged: " + parameters.error().message);
        out.set("parameters", std::move(*parameters));
    }
    out.set("created", session.created_unix_s).set("updated", session.updated_unix_s);
    out.set("head", or_null(session.head));
    return out;
}

Json stored_json(const StoredMessage& message) {
    Json out(Json::Object{});
    out.set("id", message.id)
        .set("parent", or_null(message.parent))
        .set("role", message.role)
        .set("content", message.content)
        .set("created", message.created_unix_s);
    if (message.role != "assistant") return out;
    out.set("status", to_string(message.status));
    if (!message.model.empty()) out.set("model", message.model);
    if (!message.finish_reason.empty()) out.set("finish_reason", message.finish_reason);
    out.set("prompt_tokens", message.prompt_tokens)
        .set("completion_tokens", message.completion_tokens);
    return out;
}

}  // namespace

Expected<std::string> write_sessions(const Rows& rows) {
    std::vector<const SessionRows*> order;
    for (const auto& [id, one] : rows) order.push_back(one.get());
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
        return a->session.last_change < b->session.last_change;
    });
    std::string out = "{\"format\":\"dunlin.sessions\",\"version\":1,\"sessions\":[";
    for (const SessionRows* one : order) {
        const auto head = session_head(one->session);
        if (!head) return std::unexpected(head.error());
        out += one == order.front() ? "\n" : ",\n";
        out += line(*head);
        out.pop_back();
        out += ",\"messages\":[";
        for (const auto& message : one->messages) {
            out += message == one->messages.front() ? "\n  " : ",\n  ";
            out += line(stored_json(*message));
        }
        out += "]}";
    }
    return out + "\n]}\n";
}

}  // namespace dunlin
