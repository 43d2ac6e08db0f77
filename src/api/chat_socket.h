#pragma once

#include <memory>
#include <optional>

#include "api/context.h"
#include "net/websocket.h"

namespace dunlin {

/// The server's side of /chat/ws: docs/formats/websocket.md. `caller`: nobody where the key is
/// still to come in a message. `peer`: the client's address.
std::unique_ptr<WebSocketPeer> make_chat_socket(ApiContext& api, std::optional<Caller> caller,
                                                std::string peer);

}  // namespace dunlin
