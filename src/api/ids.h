#pragma once

#include <string>
#include <string_view>

namespace dunlin {

/// A name for one answer: `prefix` and 16 random hexadecimal digits. Not a secret.
std::string new_id(std::string_view prefix);

}  // namespace dunlin
