#include "net/upgrade.h"

#include <algorithm>

namespace dunlin {
namespace {

/// How often the header has the field.
auto count_fields(const HttpRequest& request, std::string_view name) {
    return std::count_if(request.headers.begin(), request.headers.end(),
                         [&](const auto& field) { return field.first == name; });
}

/// Whether a list of tokens, which may be spread over several fields, has this one.
bool has_token(const HttpRequest& request, std::string_view name, std::string_view token) {
    for (const auto& [key, value] : request.headers) {
        if (key != name) continue;
        for (const auto item : list_items(value))
            if (lower_case(item) == token) return true;
    }
    return false;
}

/// 16 bytes in base64: 22 digits, of which the last carries two bits, and the padding.
bool is_key(std::string_view key) {
    return key.size() == 24 && key.ends_with("==") &&
           std::all_of(key.begin(), key.end() - 2, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '+' || c == '/';
           });
}

}  // namespace

std::optional<Refusal> check_upgrade(const HttpRequest& request, bool http_1_0) {
    if (http_1_0 || !has_token(request, "upgrade", "websocket"))
        return Refusal{426, "this path is a WebSocket: ask for it with Upgrade: websocket"};
    if (!has_token(request, "connection", "upgrade"))
        return Refusal{400, "the WebSocket handshake lacks Connection: Upgrade"};
    if (request.method != "GET") return Refusal{400, "a WebSocket is opened with GET"};
    if (!request.body.empty()) return Refusal{400, "a WebSocket handshake has no body"};
    if (count_fields(request, "sec-websocket-version") != 1 ||
        request.header("sec-websocket-version") != "13")
        return Refusal{426, "the only Sec-WebSocket-Version that is understood is 13"};
    if (count_fields(request, "sec-websocket-key") != 1 ||
        !is_key(request.header("sec-websocket-key")))
        return Refusal{400, "Sec-WebSocket-Key must be 16 bytes in base64, given once"};
    return std::nullopt;
}

}  // namespace dunlin
