#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/websocket.h"

namespace dunlin {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
    std::string method;  // "GET"
    std::string target;  // as sent: path and query, still percent-encoded
    HttpHeaders headers;
    std::string body;
    std::string id;    // x-request-id of the answer
    std::string peer;  // the client's address

    /// The header's value by its lower-case name; empty where there is none.
    std::string_view header(std::string_view name) const;
    std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
};

struct HttpResponse;

/// A body that is made while it is sent. The listener asks only when the socket has taken what
/// came before, so a slow client slows nothing but itself.
class BodySource {
 public:
    enum class Next : uint8_t { Wait, End };
    virtual ~BodySource() = default;
    /// [I/O thread] Appends what is ready, some tens of kilobytes at most; never blocks.
    virtual Next pull(std::string& out) = 0;
    /// Calls `ready` once, from any thread, when pull() has more.
    virtual void wake_when_ready(std::move_only_function<void() noexcept> ready) = 0;
    /// What keeps the connection alive while nothing is ready; sent at most every 15 s.
    virtual std::string_view idle_text() const { return {}; }
    /// Asked once, after the first pull() that gave something or when that took too long, and
    /// before the head is sent: whether another response is sent in place of this one.
    virtual std::optional<HttpResponse> instead();
};

struct HttpResponse {
    int status = 200;
    HttpHeaders headers = {};
    std::string body = {};
    std::unique_ptr<BodySource> stream = {};  // in place of body
    /// With status 101: the connection becomes a WebSocket, or refuses the request where it is no
    /// proper handshake.
    std::unique_ptr<WebSocketPeer> websocket = {};
};

/// One request and the way to answer it. [any thread]
class Exchange {
 public:
    virtual ~Exchange() = default;
    virtual const HttpRequest& request() const = 0;
    /// Answers. The first call counts, later ones are ignored.
    virtual void respond(HttpResponse response) = 0;
    /// Stops when the client has gone or the server closes; also while a body streams.
    virtual std::stop_token gone() const = 0;
    /// The route's pattern, a label for metrics. Set before respond().
    virtual void set_route(std::string_view pattern) = 0;
    /// A header that the answer carries whatever it becomes: an error, a stream, what stands in
    /// place of one. Set before respond(), by one thread at a time.
    virtual void add_header(std::string name, std::string value) = 0;
};

/// ASCII letters in lower case, whatever the locale: names of fields, hosts and media types.
std::string lower_case(std::string_view text);

/// A header's value without the blanks around it.
std::string_view trimmed(std::string_view value);
/// The items of a list in a header's value, trimmed (RFC 9110, 5.6.1); empty ones are left out.
std::vector<std::string_view> list_items(std::string_view value);

/// What became of one exchange, for the access log. A WebSocket's comes when it has ended.
struct Served {
    const HttpRequest& request;
    std::string_view route;
    int status = 0;
    uint64_t body_bytes = 0;  // a WebSocket's: of the messages that were sent
    double seconds = 0;
    bool gone = false;  // the client left before the end; a WebSocket's ends are all alike
};

}  // namespace dunlin
