#include <algorithm>

#include "api/authenticate.h"
#include "api/chat_socket.h"
#include "api/context.h"

namespace dunlin::endpoints {
namespace {

constexpr std::string_view kProtocol = "dunlin.chat.v1";

}  // namespace

/// A key that comes with the request is checked before the upgrade. Without one where one is
/// needed, the first message must bring it: a page in a browser cannot set headers.
void chat_ws(ApiContext& api, const Call& call) {
    const HttpRequest& request = call.exchange->request();
    const auto protocols = request.header("sec-websocket-protocol");
    const auto offered = list_items(protocols);
    if (!protocols.empty() && std::find(offered.begin(), offered.end(), kProtocol) == offered.end())
        return refuse(api, *call.exchange,
                      Error{Code::Invalid, "this WebSocket speaks dunlin.chat.v1 only"});
    std::optional<Caller> caller;
    if (api.keys.empty() || !presented_key(request).empty()) {
        auto known = caller_of(api, request);
        if (!known) return refuse(api, *call.exchange, known.error());
        caller = std::move(*known);
    }
    HttpHeaders headers;
    if (!protocols.empty()) headers.emplace_back("Sec-WebSocket-Protocol", kProtocol);
    call.exchange->respond({.status = 101,
                            .headers = std::move(headers),
                            .body = {},
                            .stream = {},
                            .websocket = make_chat_socket(api, std::move(caller), request.peer)});
}

}  // namespace dunlin::endpoints
