#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/context.h"
#include "json/json.h"
#include "sessions/sessions.h"

namespace dunlin {

/// Sessions and messages as API.md shows them.
Json session_json(const ApiContext& api, const Session& session);
Json message_json(const ShownMessage& shown);
/// The branch as a document to keep.
std::string session_markdown(const HistoryPage& page);

/// The body of POST and PATCH /sessions, every field checked: null and an empty text take a value
/// away. Errors: Invalid with the field, ModelNotFound.
Expected<SessionFields> read_session_fields(const ApiContext& api, std::string_view body);
/// The one member of a body like {"count": 2}; others are refused. Errors: Invalid.
Expected<Json> read_single_field(std::string_view body, std::string_view name);

/// The query parameters of a request. Errors: Invalid with the parameter.
struct PageQuery {
    uint32_t limit = 50;
    std::string text, from, format;  // `query`; `after` or `before`
};
Expected<PageQuery> read_page_query(std::string_view target, std::string_view from_name,
                                    uint32_t limit_max);

/// The session as an answer with that status, or why there is none.
Expected<HttpResponse> session_response(const ApiContext& api, int status,
                                        const Expected<Session>& session);

/// Runs `work` on a worker and sends what it gives.
using SessionWork = Expected<HttpResponse> (*)(ApiContext&, const Call&);
void answer_on_worker(ApiContext& api, const Call& call, SessionWork work);

/// Conflict while an answer of the session is being written. REQUIRES: the session is the caller's.
Expected<void> check_not_answering(const ApiContext& api, std::string_view session);

}  // namespace dunlin
