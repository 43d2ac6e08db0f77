#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/context.h"
#include "chat/turns.h"
#include "json/json.h"
#include "wire/openai.h"

namespace dunlin {

/// What a request asks of the engine: checked, the server's limits applied, one Request a prompt.
/// With a `place`, its session gives what `body` does not name itself, and the one message of
/// `body` is what is said there. `wire` gets the request as it was read. Looks the session up: on a
/// worker. Errors: Invalid, TextTooLong, NotFound (the session), ModelNotFound.
Expected<TurnRequest> turn_request(const ApiContext& api, const Caller& caller, Json body,
                                   Dialect dialect, std::optional<TurnPlace> place,
                                   WireRequest& wire);

/// "dunlin-<arithmetic>": equal where the same request gives the same tokens.
std::string fingerprint(uint64_t arithmetic);

}  // namespace dunlin
