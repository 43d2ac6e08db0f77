#pragma once

#include <optional>

#include "api/server.h"
#include "net/http.h"
#include "net/request_parser.h"

namespace dunlin {

/// A page of another site may send requests with the user's browser, and by DNS rebinding even
/// under this server's address. So requests that a browser marks as its own (Origin, Sec-Fetch-*,
/// an upgrade to WebSocket) must name a known host, come from one, and bring JSON, which a page
/// cannot send elsewhere without asking. Origins that are listed in security.cors_origins are known
/// (cross_origin.h). Other clients are free. Nothing where all is well.
std::optional<Refusal> check_browser(const ApiSettings& settings, const HttpRequest& request);

}  // namespace dunlin
