#include "api/session_json.h"

namespace dunlin::endpoints {
namespace {

constexpr uint32_t kListMax = 100;

Expected<HttpResponse> list_page(ApiContext& api, const Call& call) {
    const auto query = read_page_query(call.exchange->request().target, "after", kListMax);
    if (!query) return std::unexpected(query.error());
    const auto page = api.sessions.list(call.caller.owner, query->text, query->limit, query->from);
    if (!page) return std::unexpected(page.error());
    Json::Array data;
    for (const Session& one : page->sessions) data.push_back(session_json(api, one));
    return json_response(
        200, Json::Object{{"object", "list"}, {"data", std::move(data)}, {"has_more", page->more}});
}

Expected<HttpResponse> create(ApiContext& api, const Call& call) {
    const auto fields = read_session_fields(api, call.exchange->request().body);
    if (!fields) return std::unexpected(fields.error());
    return session_response(api, 201, api.sessions.create(call.caller.owner, *fields));
}

Expected<HttpResponse> find(ApiContext& api, const Call& call) {
    return session_response(api, 200, api.sessions.find(call.caller.owner, call.match.param("id")));
}

Expected<HttpResponse> change(ApiContext& api, const Call& call) {
    // Whose it is comes first: what is wrong with the fields is nobody else's business.
    const auto id = call.match.param("id");
    if (const auto known = api.sessions.find(call.caller.owner, id); !known)
        return std::unexpected(known.error());
    const auto fields = read_session_fields(api, call.exchange->request().body);
    if (!fields) return std::unexpected(fields.error());
    return session_response(api, 200, api.sessions.change(call.caller.owner, id, *fields));
}

Expected<HttpResponse> remove(ApiContext& api, const Call& call) {
    const auto id = call.match.param("id");
    if (auto removed = api.sessions.remove(call.caller.owner, id); !removed)
        return std::unexpected(removed.error());
    api.turns->drop(call.caller.owner, id);
    return json_response(200, Json::Object{{"id", id}, {"object", "session"}, {"deleted", true}});
}

}  // namespace

void list_sessions(ApiContext& api, const Call& call) {
    answer_on_worker(api, call, list_page);
}

void create_session(ApiContext& api, const Call& call) {
    answer_on_worker(api, call, create);
}

void get_session(ApiContext& api, const Call& call) {
    answer_on_worker(api, call, find);
}

void change_session(ApiContext& api, const Call& call) {
    answer_on_worker(api, call, change);
}

void delete_session(ApiContext& api, const Call& call) {
    answer_on_worker(api, call, remove);
}

}  // namespace dunlin::endpoints
