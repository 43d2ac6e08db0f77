#pragma once

#include <string_view>

#include "base/ids.h"

namespace dunlin {

/// Whose cached prefixes may be shared: equal for one owner's requests, unlike for two owners.
Digest prefix_domain(std::string_view owner);

}  // namespace dunlin
