#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/key_ring.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "chat/turns.h"
#include "registry/registry.h"
#include "sessions/sessions.h"
#include "wire/text_limit.h"

namespace dunlin {

/// One file of the web page; lives as long as the process.
struct Asset {
    std::string_view path;  // "/", "/assets/index.js"
    std::string_view content_type;
    std::string_view bytes;
};

struct ApiSettings {
    std::string host = "127.0.0.1";
    uint16_t port = 3000;                    // 0: any free one
    std::vector<std::string> allowed_hosts;  // for browsers, beside localhost and the bound address
    uint32_t header_bytes_max = 32 << 10;
    size_t body_bytes_max = size_t{16} << 20;
    uint32_t websocket_message_bytes_max = 1 << 20;
    size_t connections_max = 1024;
    uint32_t request_timeout_s = 30;        // from a request's first byte to the end of its header
    uint32_t idle_timeout_s = 75;           // between requests of a connection
    uint32_t write_timeout_s = 60;          // for a client that takes nothing
    uint32_t ping_s = 15;                   // of silence in a stream
    uint32_t prompt_characters_max = 8192;  // code points of each text; 0: no limit
    Overlong overlong = Overlong::Refuse;   // what becomes of a longer text
    uint32_t response_tokens_max = 2048;
    uint32_t prepare_threads = 2;
    TurnSettings turns;
    std::vector<Key> keys;                  // with any, everybody needs one
    uint32_t requests_per_minute = 0;       // of a key that sets none, or of a client; 0: no limit
    bool metrics_public = false;            // /metrics needs no key
    std::vector<std::string> cors_origins;  // sites whose pages may use this server
    std::span<const Asset> assets = {};
};

/// The HTTP server: every endpoint over one listener with a thread of its own.
class Server {
 public:
    /// Listens before it returns. The references must outlive the server.
    /// Errors: Io with the address and what to do (port in use).
    static Expected<std::unique_ptr<Server>> start(ApiSettings settings, Registry& registry,
                                                   Sessions& sessions, Metrics& metrics,
                                                   const Clock& clock);
    /// Stops at once what stop() did not end.
    ~Server();
    uint16_t port() const;

    /// Answers new completions and /readiness with 503, lets what is under way finish for at most
    /// `drain_us`, then closes every connection. Blocks. Call Registry::drain() beside it.
    void stop(int64_t drain_us);

 private:
    struct State;
    explicit Server(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace dunlin
