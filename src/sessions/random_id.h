#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace dunlin {

/// The prefix and 24 hexadecimal digits from the system's random numbers: nobody can guess one.
/// Errors: Io where the system gives none.
Expected<std::string> random_id(std::string_view prefix);

}  // namespace dunlin
