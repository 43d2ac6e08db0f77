#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "net/http.h"

namespace dunlin {

struct NetSettings {
    std::string host = "127.0.0.1";
    uint16_t port = 0;  // 0: any free one
    uint32_t header_bytes_max = 32 << 10;
    uint32_t fields_max = 100;
    uint64_t body_bytes_max = uint64_t{16} << 20;
    uint32_t websocket_message_bytes_max = 1 << 20;
    size_t connections_max = 1024;
    uint32_t request_timeout_s = 30;  // for the header; a body has a second more for each KiB
    uint32_t idle_timeout_s = 75;     // between requests of a connection
    uint32_t write_timeout_s = 60;    // for a client that takes nothing
    uint32_t ping_s = 15;
    uint32_t hold_head_s = 10;              // how long a stream's head waits for the first event
    HttpHeaders headers = {};               // of every answer that does not have them itself
    std::string processing_ms_header = {};  // the name under which every answer tells its time
};

/// What the listener calls, on its I/O thread; nothing in here may block or throw.
struct NetHandlers {
    std::function<void(std::shared_ptr<Exchange>)> serve;
    /// The answer to a request that cannot be read (400, 408, 413, 417, 426, 431, 503), of which
    /// only what was read is there: often the header, perhaps nothing.
    std::function<HttpResponse(const HttpRequest&, int status, std::string_view why)> refuse;
    std::function<void(const Served&)> served;
};

/// Listens on one address and speaks HTTP/1.1 with keep-alive on one thread of its own.
class Listener {
 public:
    /// Errors: Io with the address (port in use, no such address).
    static Expected<std::unique_ptr<Listener>> start(NetSettings settings, NetHandlers handlers);
    ~Listener();

    uint16_t port() const;
    /// How many WebSockets are open. May be read after the listener has gone.
    std::shared_ptr<const std::atomic<size_t>> websockets() const;
    /// Waits until no request is under way, at most `drain_us`, and then closes every connection.
    /// Meanwhile requests are still served, and each answer closes its connection: the handler
    /// refuses what it does not want to begin. WebSockets are closed with 1001 once their peer is
    /// not busy. Blocks. Not from a handler.
    void stop(int64_t drain_us);

    struct State;  // named by its connections

 private:
    explicit Listener(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

}  // namespace dunlin
