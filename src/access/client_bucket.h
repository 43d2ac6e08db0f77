#pragma once

#include <string>
#include <string_view>

namespace dunlin {

/// Whose requests count as one client's where there is no key: an IPv4 address, or the /64 of an
/// IPv6 address, since one household or machine is given that many at least (RFC 6177). An IPv4
/// address written as IPv6 is the IPv4 address. Any other text is its own bucket.
std::string client_bucket(std::string_view address);

}  // namespace dunlin
