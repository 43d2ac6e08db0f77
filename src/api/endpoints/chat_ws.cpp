#include "api/chat_socket.h"
#include "api/context.h"

namespace dunlin::endpoints {

void chat_ws(ApiContext& api, const Call& call) {
    call.exchange->respond({.status = 101,
                            .headers = {{"Sec-WebSocket-Protocol", "dunlin.chat.v1"}},
                            .websocket = make_chat_socket(api, call.caller)});
}

}  // namespace dunlin::endpoints
