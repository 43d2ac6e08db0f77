#include "api/authenticate.h"

#include <algorithm>
#include <cstdio>

#include "access/client_bucket.h"

namespace dunlin {
namespace {

constexpr uint32_t kFailuresPerMinute = 60;  // unknown keys from one address

/// What follows "Bearer ", whatever its case (RFC 6750, 2.1).
std::string_view bearer(std::string_view authorization) {
    constexpr std::string_view kScheme = "bearer ";
    if (lower_case(authorization.substr(0, kScheme.size())) != kScheme) return {};
    return trimmed(authorization.substr(kScheme.size()));
}

std::string_view subprotocol_key(std::string_view protocols) {
    constexpr std::string_view kPrefix = "dunlin.key.";
    for (const auto item : list_items(protocols))
        if (item.starts_with(kPrefix)) return item.substr(kPrefix.size());
    return {};
}

/// A duration as OpenAI writes it: "12ms", "7.66s", "6m0s".
std::string go_duration(int64_t us) {
    const int64_t ms = (us + 999) / 1000;
    if (ms < 1000) return std::to_string(ms) + "ms";
    std::string seconds = std::to_string(ms / 1000 % 60);
    if (ms % 1000 != 0) {
        char fraction[8];
        std::snprintf(fraction, sizeof fraction, ".%03d", static_cast<int>(ms % 1000));
        seconds += fraction;
        seconds.erase(seconds.find_last_not_of('0') + 1);
    }
    return (ms >= 60'000 ? std::to_string(ms / 60'000) + "m" : "") + seconds + "s";
}

int64_t wait_ms(const Allowance& allowance) {
    return (allowance.wait_us + 999) / 1000;
}

/// "in 1 second": whole ones, so that nobody comes too early.
std::string in_seconds(int64_t ms) {
    const int64_t seconds = std::max<int64_t>(1, (ms + 999) / 1000);
    return "in " + std::to_string(seconds) + (seconds == 1 ? " second" : " seconds");
}

Error failure(ApiContext& api, std::string message, std::string_view peer) {
    const Allowance left = api.failures.take(client_bucket(peer), kFailuresPerMinute);
    if (left.allowed) return {Code::Unauthorized, std::move(message)};
    const std::string often = std::to_string(kFailuresPerMinute);
    return {.code = Code::RateLimited,
            .message = "rate limit: more than " + often +
                       " unknown API keys came from your address within a minute; correct the key, "
                       "and try again " +
                       in_seconds(wait_ms(left)),
            .retry_ms = wait_ms(left)};
}

bool needs_key(const ApiContext& api, const EndpointRow& row) {
    switch (row.who) {
        case Who::Public:
        case Who::Asks:
            return false;
        case Who::Scraper:
            return !api.settings.metrics_public;
        case Who::Keyed:
        case Who::Limited:
            break;
    }
    return true;
}

}  // namespace

std::string_view presented_key(const HttpRequest& request) {
    for (const auto key :
         {bearer(request.header("authorization")), trimmed(request.header("x-api-key")),
          trimmed(request.header("api-key"))})
        if (!key.empty()) return key;
    if (request.header("upgrade").empty()) return {};
    return subprotocol_key(request.header("sec-websocket-protocol"));
}

Expected<Caller> caller_of_key(ApiContext& api, std::string_view key, std::string_view peer) {
    const uint32_t usual = api.settings.requests_per_minute;
    if (api.keys.empty()) return Caller{{}, "client " + client_bucket(peer), usual};
    if (key.empty())
        return fail(Code::Unauthorized,
                    "this server needs an API key: send it as Authorization: Bearer KEY");
    const auto [standing, found] = api.keys.find(key);
    if (standing == KeyRing::Standing::Unknown)
        return std::unexpected(failure(api, "this API key is not known here", peer));
    if (standing == KeyRing::Standing::Disabled)
        return fail(Code::Forbidden, "the API key \"" + found->name + "\" is disabled");
    const uint32_t own = found->requests_per_minute;
    return Caller{found->name, "key " + found->name, own > 0 ? own : usual};
}

Allowance take_request(ApiContext& api, const Caller& caller) {
    return api.requests.take(caller.bucket, caller.requests_per_minute);
}

Error rate_limit_error(const Allowance& allowance) {
    return {.code = Code::RateLimited,
            .message = "rate limit reached: " + std::to_string(allowance.limit) +
                       (allowance.limit == 1 ? " request" : " requests") + " a minute; try again " +
                       in_seconds(wait_ms(allowance)),
            .retry_ms = wait_ms(allowance)};
}

HttpHeaders rate_limit_headers(const Allowance& allowance) {
    if (allowance.limit == 0) return {};
    return {{"x-ratelimit-limit-requests", std::to_string(allowance.limit)},
            {"x-ratelimit-remaining-requests", std::to_string(allowance.remaining)},
            {"x-ratelimit-reset-requests", go_duration(allowance.reset_us)}};
}

Expected<Caller> admit(ApiContext& api, const EndpointRow& row, Exchange& exchange) {
    if (!needs_key(api, row)) return Caller{};
    auto caller = caller_of(api, exchange.request());
    if (!caller || row.who != Who::Limited) return caller;
    const Allowance allowance = take_request(api, *caller);
    for (auto& [name, value] : rate_limit_headers(allowance))
        exchange.add_header(std::move(name), std::move(value));
    if (!allowance.allowed) return std::unexpected(rate_limit_error(allowance));
    return caller;
}

}  // namespace dunlin
