#pragma once

#include <string_view>

#include "api/context.h"

namespace dunlin {

/// The key that a request brings: Authorization: Bearer KEY, x-api-key (Anthropic's clients),
/// api-key (Azure's), or, where it asks for a WebSocket, the subprotocol dunlin.key.KEY. Empty:
/// none.
std::string_view presented_key(const HttpRequest& request);

/// Who brings this key from this address. Where there are no keys everybody is welcome, whatever
/// they bring: clients send dummies. Errors: Unauthorized (none, or an unknown one), Forbidden (a
/// disabled one), RateLimited (too many unknown ones from this address; right ones still pass).
Expected<Caller> caller_of_key(ApiContext& api, std::string_view key, std::string_view peer);
inline Expected<Caller> caller_of(ApiContext& api, const HttpRequest& request) {
    return caller_of_key(api, presented_key(request), request.peer);
}

/// Counts one request that asks for an answer against the caller's minute; the endpoints that are
/// marked Limited are counted before they run, a WebSocket counts each message of that kind.
Allowance take_request(ApiContext& api, const Caller& caller);
/// What is said where it was not allowed, with the time to wait.
Error rate_limit_error(const Allowance& allowance);
/// x-ratelimit-* as OpenAI's clients read them; none where there is no limit.
HttpHeaders rate_limit_headers(const Allowance& allowance);

/// Everything that stands before an endpoint: who calls, and whether that one may. Adds headers to
/// the exchange. Errors: as above; the endpoint must not run then.
Expected<Caller> admit(ApiContext& api, const EndpointRow& row, Exchange& exchange);

}  // namespace dunlin
