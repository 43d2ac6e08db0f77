#pragma once

#include <optional>

#include "net/http.h"
#include "net/request_parser.h"

namespace dunlin {

/// Whether a request opens a WebSocket as RFC 6455, 4.2.1 asks: GET with HTTP/1.1, no body, the
/// tokens in Upgrade and Connection, one key of 16 bytes, version 13. Nothing where it does;
/// otherwise 400, or 426 where the client could come back with what this server speaks.
std::optional<Refusal> check_upgrade(const HttpRequest& request, bool http_1_0);

}  // namespace dunlin
