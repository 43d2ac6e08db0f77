#pragma once

#include <string_view>

#include "base/ids.h"

namespace dunlin {

/// Whose cached prefixes may be shared: equal for one owner's requests, unlike for two owners.
/// Keyed with a secret of this process (HMAC-SHA256, 128 bits of it), so that nobody can choose a
/// name that falls together with another one's, or foresee where its prefixes stand. [any thread]
Digest prefix_domain(std::string_view owner);

}  // namespace dunlin
