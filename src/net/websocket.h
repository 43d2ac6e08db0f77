#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace dunlin {

/// The server's side of one WebSocket (RFC 6455), made by an endpoint: answer an upgrade request
/// with HttpResponse{.status = 101, .websocket = ...}, and a header Sec-WebSocket-Protocol where
/// one was chosen. The connection does the handshake, frames, pings and UTF-8; this sees whole
/// text messages. Owned by the connection and destroyed with it, whoever ended it.
class WebSocketPeer {
 public:
    virtual ~WebSocketPeer() = default;

    /// [I/O thread] A whole text message, at most NetSettings::websocket_message_bytes_max long.
    /// Never blocks.
    virtual void receive(std::string text) = 0;

    /// [I/O thread] Appends messages that are ready, some tens of kilobytes at most. Asked only
    /// when the socket has taken what came before, so a slow client slows nothing but itself. End:
    /// nothing follows, close with close_code().
    enum class Next : uint8_t { Wait, End };
    virtual Next pull(std::vector<std::string>& out) = 0;
    /// Calls `ready` once, from any thread, when pull() has more.
    virtual void wake_when_ready(std::move_only_function<void() noexcept> ready) = 0;

    /// [I/O thread] Whether an answer is under way, also where nothing of it is ready. A server
    /// that stops waits for it within its drain time and closes the others with 1001 at once. Asked
    /// after each receive() and pull().
    virtual bool busy() const { return false; }

    virtual uint16_t close_code() const { return 1000; }
    virtual std::string close_reason() const { return {}; }
};

}  // namespace dunlin
