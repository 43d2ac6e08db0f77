#include "api/cross_origin.h"

#include <algorithm>

namespace dunlin {
namespace {

/// What pages may read of an answer, beside the few headers that they always may.
constexpr const char* kExposed =
    "x-request-id, retry-after, retry-after-ms, x-should-retry, x-ratelimit-limit-requests, "
    "x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-max-tokens, x-ignored-params, "
    "x-truncated-characters, x-truncated-messages, x-session-id, x-user-message-id, x-message-id, "
    "x-session-saved, openai-processing-ms";

/// What the clients of OpenAI and Anthropic send.
constexpr const char* kAllowed =
    "authorization, content-type, x-api-key, api-key, x-request-id, anthropic-version, "
    "anthropic-beta";

constexpr const char* kMaxAgeS = "600";  // so that a change of the settings is soon known
constexpr size_t kEchoedMax = 32;

/// OpenAI's clients describe themselves in headers of this family, with more in each version.
bool is_stainless(std::string_view name) {
    return name.starts_with("x-stainless-") && name.size() <= 64 &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
           });
}

std::string allowed_headers(std::string_view requested) {
    std::string out = kAllowed;
    size_t echoed = 0;
    for (const auto item : list_items(requested)) {
        const std::string name = lower_case(item);
        if (!is_stainless(name)) continue;
        if (echoed++ == kEchoedMax) break;
        out += ", " + name;
    }
    return out;
}

}  // namespace

bool is_listed_origin(const ApiSettings& settings, std::string_view origin) {
    const auto& listed = settings.cors_origins;
    return std::find(listed.begin(), listed.end(), origin) != listed.end();
}

HttpHeaders cross_origin_headers(const ApiSettings& settings, const HttpRequest& request) {
    if (settings.cors_origins.empty()) return {};
    HttpHeaders out{{"Vary", "Origin"}};  // a cache must not give one origin's answer to another
    const auto origin = request.header("origin");
    if (!is_listed_origin(settings, origin)) return out;
    out.emplace_back("Access-Control-Allow-Origin", origin);
    out.emplace_back("Access-Control-Expose-Headers", kExposed);
    return out;
}

HttpHeaders preflight_headers(const ApiSettings& settings, const HttpRequest& request,
                              std::string_view methods) {
    if (!is_listed_origin(settings, request.header("origin")) ||
        request.header("access-control-request-method").empty())
        return {};
    const auto requested = request.header("access-control-request-headers");
    return {{"Access-Control-Allow-Methods", std::string(methods)},
            {"Access-Control-Allow-Headers", allowed_headers(requested)},
            {"Access-Control-Max-Age", kMaxAgeS}};
}

}  // namespace dunlin
