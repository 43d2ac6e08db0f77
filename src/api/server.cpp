#include "api/server.h"

#include <algorithm>

#include "api/context.h"
#include "base/log.h"
#include "net/listener.h"

namespace dunlin {
namespace {

constexpr EndpointRow kEndpoints[] = {
#define ENDPOINT(method, pattern, function, v1, summary) \
    {#method, pattern, endpoints::function, v1, summary},
#include "api/endpoints.def"
#undef ENDPOINT
};

std::string_view without_port(std::string_view host) {
    if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
    return host.substr(0, host.find(':'));
}

bool allowed_host(const ApiSettings& settings, std::string_view host) {
    const auto name = without_port(host);
    if (name == "localhost" || name == "127.0.0.1" || name == "[::1]" || name == settings.host)
        return true;
    return std::find(settings.allowed_hosts.begin(), settings.allowed_hosts.end(), name) !=
           settings.allowed_hosts.end();
}

/// A page of another site may send requests with the user's browser, and by DNS rebinding even
/// under this server's address: browsers must name a known host and come from there.
Expected<void> check_browser(const ApiSettings& settings, const HttpRequest& request) {
    const auto origin = request.header("origin");
    if (origin.empty() && request.header("sec-fetch-site").empty() &&
        request.header("upgrade").empty())
        return {};
    if (!allowed_host(settings, request.header("host")))
        return fail(Code::Forbidden, "this Host is not in the server's list of allowed hosts");
    const auto scheme = origin.find("://");
    if (!origin.empty() &&
        (scheme == origin.npos || !allowed_host(settings, origin.substr(scheme + 3))))
        return fail(Code::Forbidden, "this Origin is not in the server's list of allowed hosts");
    if (request.method == "POST" && !request.header("content-type").starts_with("application/json"))
        return fail(Code::Invalid, "Content-Type must be application/json", "Content-Type");
    return {};
}

/// The page runs its own scripts, talks to this server only, and nobody may frame it.
constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

bool serve_asset(const ApiContext& api, const ExchangePtr& exchange) {
    const HttpRequest& request = exchange->request();
    if (request.method != "GET" && request.method != "HEAD") return false;
    for (const Asset& asset : api.settings.assets) {
        if (asset.path != request.path()) continue;
        exchange->set_route(asset.path == "/" ? "/" : "/assets");
        const bool page = !asset.path.starts_with("/assets/");  // those carry a hash in their name
        exchange->respond(
            {.status = 200,
             .headers = {{"Content-Type", std::string(asset.content_type)},
                         {"Cache-Control", page ? "no-cache" : "max-age=31536000, immutable"},
                         {"Content-Security-Policy", kPagePolicy},
                         {"Referrer-Policy", "no-referrer"},
                         {"X-Content-Type-Options", "nosniff"}},
             .body = std::string(asset.bytes)});
        return true;
    }
    return false;
}

void serve(ApiContext& api, const ExchangePtr& exchange) {
    const HttpRequest& request = exchange->request();
    exchange->set_route("none");
    if (const auto allowed = check_browser(api.settings, request); !allowed)
        return exchange->respond(error_response(allowed.error()));
    if (serve_asset(api, exchange)) return;
    const auto found = api.router.find(request.method, request.path());
    if (found.match) {
        exchange->set_route(api.router.pattern(found.match->route));
        // Each row stands once, or twice when it is also under /v1: see add_routes().
        const std::string_view pattern = api.router.pattern(found.match->route);
        const auto plain = pattern.starts_with("/v1/") ? pattern.substr(3) : pattern;
        for (const auto& row : kEndpoints)
            if (row.pattern == plain && row.method == api.router.method(found.match->route))
                return row.run(api, exchange, *found.match);
    }
    if (found.allowed.empty())
        return exchange->respond(error_response({Code::NotFound, "there is no such path here"}));
    std::string methods;
    for (const auto& method : found.allowed) methods += (methods.empty() ? "" : ", ") + method;
    HttpResponse response = refusal(405, "this path takes " + methods);
    response.headers.emplace_back("Allow", methods);
    exchange->respond(std::move(response));
}

void add_routes(Router& router) {
    for (const auto& row : kEndpoints) {
        router.add(std::string(row.method), std::string(row.pattern));
        if (row.v1) router.add(std::string(row.method), "/v1" + std::string(row.pattern));
    }
}

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
              {"path", served.request.path()},
              {"status", served.status},
              {"bytes", served.body_bytes},
              {"seconds", served.seconds}});
}

}  // namespace

std::span<const EndpointRow> endpoint_rows() {
    return kEndpoints;
}

struct Server::State {
    State(ApiSettings settings, size_t threads, Registry& registry, Metrics& metrics,
          const Clock& clock)
        : api{.settings = std::move(settings),
              .registry = registry,
              .metrics = metrics,
              .clock = clock,
              .router = {},
              .workers = Workers(threads)} {}

    ApiContext api;
    std::unique_ptr<Listener> listener;
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() {
    stop(0);
}

Expected<std::unique_ptr<Server>> Server::start(ApiSettings settings, Registry& registry,
                                                Metrics& metrics, const Clock& clock) {
    const size_t threads = std::max<size_t>(1, settings.prepare_threads);
    auto state = std::make_unique<State>(std::move(settings), threads, registry, metrics, clock);
    ApiContext& api = state->api;
    add_routes(api.router);
    NetSettings net{.host = api.settings.host,
                    .port = api.settings.port,
                    .body_bytes_max = api.settings.body_bytes_max,
                    .connections_max = api.settings.connections_max};
    NetHandlers handlers{
        .serve = [&api](const ExchangePtr& exchange) { serve(api, exchange); },
        .refuse = refusal,
        .served = [&api](const Served& served) { record(api.metrics, served); },
    };
    auto listener = Listener::start(std::move(net), std::move(handlers));
    if (!listener) return std::unexpected(listener.error());
    state->listener = std::move(*listener);
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
