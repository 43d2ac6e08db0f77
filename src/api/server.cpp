#include "api/server.h"

#include <algorithm>

#include "access/owner.h"
#include "api/authenticate.h"
#include "api/browser_rules.h"
#include "api/context.h"
#include "api/cross_origin.h"
#include "base/log.h"
#include "net/listener.h"

namespace dunlin {
namespace {

constexpr EndpointRow kEndpoints[] = {
#define ENDPOINT(method, pattern, function, v1, who, summary) \
    {#method, pattern, endpoints::function, v1, Who::who, summary},
#include "api/endpoints.def"
#undef ENDPOINT
};

const Asset* find_asset(const ApiContext& api, std::string_view path) {
    for (const Asset& asset : api.settings.assets)
        if (asset.path == path) return &asset;
    return nullptr;
}

/// The page runs its own scripts, talks to this server only, and nobody may frame it.
constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void serve_asset(Exchange& exchange, const Asset& asset) {
    exchange.set_route(asset.path == "/" ? "/" : "/assets");
    const bool page = !asset.path.starts_with("/assets/");  // those carry a hash in their name
    exchange.respond(
        {.status = 200,
         .headers = {{"Content-Type", std::string(asset.content_type)},
                     {"Cache-Control", page ? "no-cache" : "max-age=31536000, immutable"},
                     {"Content-Security-Policy", kPagePolicy}},
         .body = std::string(asset.bytes)});
}

/// A known path with another method. OPTIONS tells the methods, and what a page of a listed origin
/// may send.
void refuse_method(ApiContext& api, Exchange& exchange, const std::vector<std::string>& allowed) {
    std::string methods;
    for (const auto& method : allowed) {
        if (methods.find(method) != methods.npos) continue;
        methods += (methods.empty() ? "" : ", ") + method + (method == "GET" ? ", HEAD" : "");
    }
    methods += ", OPTIONS";
    if (exchange.request().method == "OPTIONS") {
        HttpHeaders headers = preflight_headers(api.settings, exchange.request(), methods);
        headers.emplace_back("Allow", methods);
        return exchange.respond({.status = 204, .headers = std::move(headers)});
    }
    refuse(api, exchange, 405, "this path takes " + methods, {{"Allow", methods}});
}

void serve(ApiContext& api, const ExchangePtr& exchange) {
    const HttpRequest& request = exchange->request();
    exchange->set_route("none");
    for (auto& [name, value] : cross_origin_headers(api.settings, request))
        exchange->add_header(std::move(name), std::move(value));
    if (const auto refused = check_browser(api.settings, request))
        return refuse(api, *exchange, refused->status, refused->why);
    const auto coding = request.header("content-encoding");
    if (!coding.empty() && coding != "identity")
        return refuse(api, *exchange, 415, "send the body without Content-Encoding");
    if (request.target == "*") return refuse_method(api, *exchange, {"GET", "POST"});
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (const Asset* asset = find_asset(api, request.path())) {
        if (reads) return serve_asset(*exchange, *asset);
        return refuse_method(api, *exchange, {"GET"});
    }
    const auto found = api.router.find(request.method, request.path());
    if (found.match) {
        exchange->set_route(api.router.pattern(found.match->route));
        // Each row stands once, or twice when it is also under /v1: see add_routes().
        const std::string_view pattern = api.router.pattern(found.match->route);
        const auto plain = pattern.starts_with("/v1/") ? pattern.substr(3) : pattern;
        for (const auto& row : kEndpoints) {
            if (row.pattern != plain || row.method != api.router.method(found.match->route))
                continue;
            auto caller = admit(api, row, *exchange);
            if (!caller) return refuse(api, *exchange, caller.error());
            return row.run(api, {exchange, *found.match, std::move(*caller)});
        }
    }
    if (!found.allowed.empty()) return refuse_method(api, *exchange, found.allowed);
    refuse(api, *exchange, Error{Code::NotFound, "there is no such path here"});
}

void add_routes(Router& router) {
    for (const auto& row : kEndpoints) {
        router.add(std::string(row.method), std::string(row.pattern));
        if (row.v1) router.add(std::string(row.method), "/v1" + std::string(row.pattern));
    }
}

constexpr size_t kLoggedPathMax = 512;

/// Methods come from clients, label values must not.
std::string method_label(std::string_view method) {
    for (const std::string_view known :
         {"GET", "POST", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS"})
        if (method == known) return std::string(known);
    return "other";
}

void record(Metrics& metrics, const Served& served) {
    const std::string route(served.route);
    metrics
        .counter("dunlin_http_requests_total", "HTTP requests that were answered or given up.",
                 {{"route", route},
                  {"method", method_label(served.request.method)},
                  {"status", std::to_string(served.status)}})
        .add();
    metrics
        .histogram("dunlin_http_duration_seconds",
                   "From the whole request to the end of its answer.", {{"route", route}})
        .observe(served.seconds);
    log_info("api", "request",
             {{"id", served.request.id},
              {"peer", served.request.peer},
              {"method", served.request.method},
              {"path", served.request.path().substr(0, kLoggedPathMax)},
              {"status", served.status},
              {"bytes", served.body_bytes},
              {"seconds", served.seconds}});
}

}  // namespace

std::span<const EndpointRow> endpoint_rows() {
    return kEndpoints;
}

ApiContext::ApiContext(ApiSettings given, Registry& known_models, Sessions& kept, Metrics& counted,
                       const Clock& time)
    : settings(std::move(given)),
      registry(known_models),
      sessions(kept),
      metrics(counted),
      clock(time),
      workers(std::max<size_t>(1, settings.prepare_threads)),
      turns(std::make_unique<Turns>(registry, sessions, workers, clock, metrics, settings.turns)),
      keys(settings.keys),
      requests(clock),
      failures(clock) {
    prefix_domain("");  // takes its secret now, not in the middle of a request
}

struct Server::State {
    ApiContext api;
    std::unique_ptr<Listener> listener = {};
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() {
    stop(0);
}

Expected<std::unique_ptr<Server>> Server::start(ApiSettings settings, Registry& registry,
                                                Sessions& sessions, Metrics& metrics,
                                                const Clock& clock) {
    std::unique_ptr<State> state(
        new State{.api = {std::move(settings), registry, sessions, metrics, clock}});
    ApiContext& api = state->api;
    add_routes(api.router);
    NetSettings net{.host = api.settings.host,
                    .port = api.settings.port,
                    .header_bytes_max = api.settings.header_bytes_max,
                    .body_bytes_max = api.settings.body_bytes_max,
                    .websocket_message_bytes_max = api.settings.websocket_message_bytes_max,
                    .connections_max = api.settings.connections_max,
                    .request_timeout_s = api.settings.request_timeout_s,
                    .idle_timeout_s = api.settings.idle_timeout_s,
                    .write_timeout_s = api.settings.write_timeout_s,
                    .ping_s = api.settings.ping_s,
                    .headers = {{"Cache-Control", "no-store"},
                                {"X-Content-Type-Options", "nosniff"},
                                {"X-Frame-Options", "DENY"},
                                {"Referrer-Policy", "no-referrer"},
                                {"Cross-Origin-Resource-Policy", "same-origin"}},
                    .processing_ms_header = "openai-processing-ms"};
    add_process_metrics(api);
    NetHandlers handlers{
        .serve = [&api](const ExchangePtr& exchange) { serve(api, exchange); },
        .refuse =
            [&api](const HttpRequest& request, int status, std::string_view why) {
                count_refusal(api.metrics, status);
                HttpResponse response = refusal(status, why);
                for (auto& header : cross_origin_headers(api.settings, request))
                    response.headers.push_back(std::move(header));
                return response;
            },
        .served = [&api](const Served& served) { record(api.metrics, served); },
    };
    auto listener = Listener::start(std::move(net), std::move(handlers));
    if (!listener) return std::unexpected(listener.error());
    state->listener = std::move(*listener);
    metrics.gauge("dunlin_websockets_open", "WebSockets that are open.", {},
                  [open = state->listener->websockets()] { return static_cast<double>(*open); });
    return std::unique_ptr<Server>(new Server(std::move(state)));
}

uint16_t Server::port() const {
    return state_->listener->port();
}

void Server::stop(int64_t drain_us) {
    state_->api.draining = true;
    state_->listener->stop(drain_us);
    state_->api.workers.stop();
}

}  // namespace dunlin
