#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "access/rate_limiter.h"
#include "api/server.h"
#include "base/workers.h"
#include "chat/turns.h"
#include "json/json.h"
#include "net/http.h"
#include "net/router.h"
#include "sessions/sessions.h"

namespace dunlin {

/// What endpoints share. Lives as long as the server's threads.
struct ApiContext {
    /// The references must outlive it.
    ApiContext(ApiSettings settings, Registry& registry, Sessions& sessions, Metrics& metrics,
               const Clock& clock);

    ApiSettings settings;
    Registry& registry;
    Sessions& sessions;
    Metrics& metrics;
    const Clock& clock;
    Router router = {};
    Workers workers;
    std::unique_ptr<Turns> turns;
    const KeyRing keys;    // empty: nobody needs a key
    RateLimiter requests;  // that ask for an answer, by key or client
    RateLimiter failures;  // unknown keys, by client
    std::atomic<bool> draining{false};
};

using ExchangePtr = std::shared_ptr<Exchange>;

/// Who sends a request.
struct Caller {
    std::string owner;   // whose sessions and prefixes these are; empty: nobody needs a key
    std::string bucket;  // of RateLimiter
    uint32_t requests_per_minute = 0;  // 0: no limit
};

/// One request at its endpoint.
struct Call {
    ExchangePtr exchange;
    Router::Match match;
    Caller caller;
};
using Endpoint = void (*)(ApiContext&, const Call&);

/// Who may call an endpoint where keys are needed.
enum class Who : uint8_t {
    Public,   // everybody
    Keyed,    // who has a key
    Limited,  // who has a key; asks for an answer, so it counts against the requests a minute
    Scraper,  // who has a key, or everybody where security.metrics_public says so
    Asks,     // the endpoint finds out by itself, with caller_of(): a key may come later
};

/// The rows of endpoints.def.
struct EndpointRow {
    std::string_view method, pattern;
    Endpoint run;
    bool v1;
    Who who;
    std::string_view summary;
};
std::span<const EndpointRow> endpoint_rows();

namespace endpoints {
#define ENDPOINT(method, pattern, function, v1, who, summary) \
    void function(ApiContext&, const Call&);
#include "api/endpoints.def"
#undef ENDPOINT
}  // namespace endpoints

HttpResponse json_response(int status, const Json& body);
/// OpenAI's error shape with the status of the code, from the one table of these.
HttpResponse error_response(const Error& error);
/// The `error` object alone, for streams that have already begun.
Json error_body(const Error& error);
/// How long to wait before trying again, where that helps.
std::optional<uint32_t> retry_after_s(const Error& error);
/// For what HTTP itself refuses: 400, 403, 405, 408, 413, 415, 417, 426, 431, 503.
HttpResponse refusal(int status, std::string_view why);

/// Runs `work` on a worker; refuses the request where too many wait.
void run_on_worker(ApiContext& api, const ExchangePtr& exchange,
                   std::move_only_function<void()> work);

/// Every error that a client gets is counted once, in dunlin_errors_total: by these, and by
/// count_error() where it is sent in another way.
void refuse(ApiContext& api, Exchange& exchange, const Error& error);
void refuse(ApiContext& api, Exchange& exchange, int status, std::string_view why,
            const HttpHeaders& headers = {});
void count_error(Metrics& metrics, const Error& error);
void count_refusal(Metrics& metrics, int status);

/// The document at /openapi.json, from endpoints.def and wire/parameters.def.
Json openapi_document();
/// All families in the Prometheus text format 0.0.4.
std::string metrics_text(const Metrics& metrics);
/// Whether the default model can answer a request now: what /readiness says.
bool is_ready(const ApiContext& api);
/// What the process uses, and whether it is ready. REQUIRES: nobody collects once `api` is gone.
void add_process_metrics(ApiContext& api);

}  // namespace dunlin
