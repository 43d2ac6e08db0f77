#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "json/json.h"

namespace dunlin {

/// "1,2,3", with spaces or without; nothing where it is not a list of whole numbers from 0.
std::optional<std::vector<TokenId>> parse_token_ids(std::string_view text);
std::string to_text(const std::vector<TokenId>& ids);  // "1,2,3"
Json to_json(const std::vector<TokenId>& ids);

}  // namespace dunlin
