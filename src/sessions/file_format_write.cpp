#include <algorithm>

#include "base/check.h"
#include "json/json.h"
#include "sessions/file_format.h"

namespace dunlin {
namespace {

std::string line(const Json& value) {
    auto text = write_json(value);
    CHECK(text.has_value());  // there are no numbers but integers, and what read_json() gave
    return std::move(*text);
}

Json or_null(const std::string& text) {
    return text.empty() ? Json() : Json(text);
}

/// All but the messages; fields without a value are left out.
Json session_head(const Session& session) {
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
        CHECK(parameters.has_value());  // Sessions takes nothing else
        out.set("parameters", std::move(*parameters));
    }
    out.set("created", session.created_unix_s).set("updated", session.updated_unix_s);
    out.set("head", or_null(session.head));
    return out;
}

Json message_json(const StoredMessage& message) {
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

std::string write_sessions(const Rows& rows) {
    std::vector<const SessionRows*> order;
    for (const auto& [id, one] : rows) order.push_back(one.get());
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
        return a->session.last_change < b->session.last_change;
    });
    std::string out = "{\"format\":\"dunlin.sessions\",\"version\":1,\"sessions\":[";
    for (const SessionRows* one : order) {
        std::string head = line(session_head(one->session));
        head.pop_back();
        out += one == order.front() ? "\n" : ",\n";
        out += head + ",\"messages\":[";
        for (const auto& message : one->messages) {
            out += message == one->messages.front() ? "\n  " : ",\n  ";
            out += line(message_json(*message));
        }
        out += "]}";
    }
    return out + "\n]}\n";
}

}  // namespace dunlin
