#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"

namespace dunlin {

/// Where a server is asked: http://host:port, nothing behind it.
struct HttpPlace {
    std::string host;  // an IP address; localhost is 127.0.0.1
    uint16_t port = 80;
};

/// Reads "http://127.0.0.1:3000" or "http://[::1]:3000/". There is no TLS and no look-up of names:
/// what asks a server whether it is well must not depend on either.
/// Errors: Invalid with what is allowed.
Expected<HttpPlace> parse_http_place(std::string_view url);

struct StatusAnswer {
    int status = 0;
    std::string body;
};

/// One GET of `target` over plain HTTP, on a connection and a thread (the caller's) of its own.
/// `timeout` is for all of it together. Errors: Io (nobody listens, no HTTP), DeadlineExceeded,
/// TooLarge (an answer of more than 64 KiB).
Expected<StatusAnswer> fetch_status(const HttpPlace& place, std::string_view target,
                                    std::chrono::milliseconds timeout);

}  // namespace dunlin
