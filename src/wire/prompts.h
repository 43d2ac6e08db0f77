#pragma once

#include <cstdint>

#include "base/error.h"
#include "json/json.h"
#include "wire/openai.h"
#include "wire/text_limit.h"

namespace dunlin {

/// What a request asks about: messages for chat, one prompt or several for completions. Types were
/// checked by the table. Errors: Invalid with the member as `param` ("messages.[0].role").
Expected<void> read_messages(const Json& body, const TextLimit& limit, WireRequest& out);
Expected<void> read_prompt(const Json& body, const TextLimit& limit, WireRequest& out);

}  // namespace dunlin
