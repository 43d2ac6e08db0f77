#include <algorithm>

#include "api/session_json.h"

namespace dunlin::endpoints {
namespace {

constexpr uint32_t kHistoryMax = 200;

Json history_json(const ApiContext& api, const HistoryPage& page) {
    Json::Array data;
    for (const ShownMessage& one : page.messages) data.push_back(message_json(one));
    return Json::Object{{"object", "list"},
                        {"session", session_json(api, page.session)},
                        {"data", std::move(data)},
                        {"has_more", page.more}};
}

/// "sess_5f0c.md"; ids from other programs may hold what a file's name should not.
std::string file_name(const std::string& id, const char* suffix) {
    const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
    return (plain ? id : "session") + suffix;
}

Expected<HttpResponse> whole(ApiContext& api, const Call& call, const std::string& format) {
    const auto page =
        api.sessions.history(call.caller.owner, call.match.param("id"), UINT32_MAX, "");
    if (!page) return std::unexpected(page.error());
    const bool markdown = format == "markdown";
    HttpResponse response = json_response(200, markdown ? Json() : history_json(api, *page));
    if (markdown) {
        response.headers = {{"Content-Type", "text/markdown; charset=utf-8"}};
        response.body = session_markdown(*page);
    }
    response.headers.emplace_back(
        "Content-Disposition",
        "attachment; filename=\"" + file_name(page->session.id, markdown ? ".md" : ".json") + "\"");
    return response;
}

Expected<HttpResponse> part(ApiContext& api, const Call& call) {
    const auto query = read_page_query(call.exchange->request().target, "before", kHistoryMax);
    if (!query) return std::unexpected(query.error());
    if (query->format == "json" || query->format == "markdown")
        return whole(api, call, query->format);
    if (!query->format.empty())
        return fail(Code::Invalid, "'format' must be json or markdown", "format");
    const auto page =
        api.sessions.history(call.caller.owner, call.match.param("id"), query->limit, query->from);
    if (!page) return std::unexpected(page.error());
    return json_response(200, history_json(api, *page));
}

Expected<HttpResponse> roll_back(ApiContext& api, const Call& call) {
    const auto id = call.match.param("id");
    if (const auto known = api.sessions.find(call.caller.owner, id); !known)
        return std::unexpected(known.error());
    const auto count = read_single_field(call.exchange->request().body, "count");
    if (!count) return std::unexpected(count.error());
    int64_t number = 0;
    if (!count->to_int64(number) || number < 1 || number > UINT32_MAX)
        return fail(Code::Invalid, "'count' must be a whole number from 1", "count");
    if (auto free = check_not_answering(api, id); !free) return std::unexpected(free.error());
    return session_response(
        api, 200, api.sessions.rollback(call.caller.owner, id, static_cast<uint32_t>(number)));
}

Expected<HttpResponse> show(ApiContext& api, const Call& call) {
    const auto id = call.match.param("id");
    if (const auto known = api.sessions.find(call.caller.owner, id); !known)
        return std::unexpected(known.error());
    const auto message = read_single_field(call.exchange->request().body, "message_id");
    if (!message) return std::unexpected(message.error());
    if (message->string() == nullptr)
        return fail(Code::Invalid, "'message_id' must be a string", "message_id");
    if (auto free = check_not_answering(api, id); !free) return std::unexpected(free.error());
    return session_response(api, 200, api.sessions.show(call.caller.owner, id, *message->string()));
}

}  // namespace

void get_history(ApiContext& api, const Call& call) {
    answer_on_worker(api, call, part);
}

void rollback_history(ApiContext& api, const Call& call) {
    answer_on_worker(api, call, roll_back);
}

void show_branch(ApiContext& api, const Call& call) {
    answer_on_worker(api, call, show);
}

}  // namespace dunlin::endpoints
