#include "api/authenticate.h"
#include "api/chat_socket.h"
#include "api/context.h"

namespace dunlin::endpoints {

/// A key that comes with the request is checked before the upgrade. Without one where one is
/// needed, the first message must bring it: a page in a browser cannot set headers.
void chat_ws(ApiContext& api, const Call& call) {
    const HttpRequest& request = call.exchange->request();
    std::optional<Caller> caller;
    if (api.keys.empty() || !presented_key(request).empty()) {
        auto known = caller_of(api, request);
        if (!known) return refuse(api, *call.exchange, known.error());
        caller = std::move(*known);
    }
    call.exchange->respond({.status = 101,
                            .headers = {{"Sec-WebSocket-Protocol", "dunlin.chat.v1"}},
                            .websocket = make_chat_socket(api, std::move(caller), request.peer)});
}

}  // namespace dunlin::endpoints
