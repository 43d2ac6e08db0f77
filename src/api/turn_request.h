#pragma once

#include <string>
#include <string_view>

#include "api/context.h"
#include "chat/turns.h"
#include "json/json.h"
#include "wire/openai.h"

namespace dunlin {

/// `body` with what it does not name itself taken from a session's `parameters` (a JSON object, or
/// empty). REQUIRES: body is an object.
Json with_parameters(Json body, std::string_view parameters);

/// What each text of a prompt is held to.
TextLimit text_limit(const ApiSettings& settings);

/// What a checked request asks of the engine: its limits applied, one Request a prompt.
/// Errors: ModelNotFound.
Expected<TurnRequest> turn_request(const ApiContext& api, const Caller& caller,
                                   const WireRequest& wire);

/// "dunlin-<arithmetic>": equal where the same request gives the same tokens.
std::string fingerprint(uint64_t arithmetic);

}  // namespace dunlin
