#pragma once

#include <string>
#include <string_view>

#include "api/server.h"
#include "net/http.h"

namespace dunlin {

/// Cross-origin resource sharing (https://fetch.spec.whatwg.org/#http-cors-protocol): the pages of
/// the origins that are listed by their exact text may use this server from a browser. There is no
/// wildcard, and no browser is asked for its cookies or passwords: keys come in headers.
bool is_listed_origin(const ApiSettings& settings, std::string_view origin);

/// What every answer to this request carries: for a listed origin, that its page may read it. None
/// where no origin is listed.
HttpHeaders cross_origin_headers(const ApiSettings& settings, const HttpRequest& request);

/// What the answer to OPTIONS carries besides, where a browser asks before a request of a listed
/// origin. `methods`: of the path, "GET, HEAD".
HttpHeaders preflight_headers(const ApiSettings& settings, const HttpRequest& request,
                              std::string_view methods);

}  // namespace dunlin
