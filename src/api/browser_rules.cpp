#include "api/browser_rules.h"

#include <algorithm>

#include "api/cross_origin.h"

namespace dunlin {
namespace {

bool all_of(std::string_view text, std::string_view allowed) {
    return !text.empty() && text.find_first_not_of(allowed) == text.npos;
}

/// The name in "name" or "name:port", lower case; empty where it is neither.
std::string host_name(std::string_view host) {
    const bool bracketed = host.starts_with('[');
    const auto colon = host.find(':', bracketed ? std::min(host.find(']'), host.size()) : 0);
    if (colon != host.npos && !all_of(host.substr(colon + 1), "0123456789")) return {};
    return lower_case(host.substr(0, colon));
}

bool is_loopback(std::string_view name) {
    return name == "localhost" || name == "127.0.0.1" || name == "[::1]" || name == "::1";
}

/// No name service stands behind an address, so it cannot be rebound.
bool is_address(std::string_view name) {
    return all_of(name, "0123456789.") || (name.starts_with('[') && name.ends_with(']'));
}

bool is_allowed(const ApiSettings& settings, std::string_view host) {
    const std::string name = host_name(host);
    const auto& more = settings.allowed_hosts;
    return is_loopback(name) || (!name.empty() && name == settings.host) ||
           (!is_loopback(settings.host) && is_address(name)) ||
           std::find(more.begin(), more.end(), name) != more.end();
}

bool is_json(std::string_view content_type) {
    auto type = content_type.substr(0, content_type.find(';'));
    while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
    return lower_case(type) == "application/json";
}

bool is_from_browser(const HttpRequest& request) {
    return std::any_of(request.headers.begin(), request.headers.end(), [](const auto& field) {
        return field.first == "origin" || field.first == "upgrade" ||
               field.first.starts_with("sec-fetch-");
    });
}

}  // namespace

std::optional<Refusal> check_browser(const ApiSettings& settings, const HttpRequest& request) {
    if (!is_from_browser(request)) return std::nullopt;
    if (!is_allowed(settings, request.header("host")))
        return Refusal{403, "this Host is not in the server's list of allowed hosts"};
    const auto origin = request.header("origin");
    const auto scheme = origin.find("://");
    const bool known = is_listed_origin(settings, origin) ||
                       (scheme != origin.npos && is_allowed(settings, origin.substr(scheme + 3)));
    if (!origin.empty() && !known)
        return Refusal{403, "pages of this Origin may not use this server"};
    // Without an Origin, another site may link here, and nothing else.
    const bool reads = request.method == "GET" || request.method == "HEAD";
    const bool visits = reads && request.header("sec-fetch-mode") == "navigate";
    if (origin.empty() && request.header("sec-fetch-site") == "cross-site" && !visits)
        return Refusal{403, "other sites may not use this server"};
    if (request.method == "POST" && !is_json(request.header("content-type")))
        return Refusal{415, "Content-Type must be application/json"};
    return std::nullopt;
}

}  // namespace dunlin
