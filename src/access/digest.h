#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dunlin {

/// 32 bytes: a SHA-256 (FIPS 180-4), or a secret of that size.
using Bytes32 = std::array<uint8_t, 32>;

Bytes32 sha256(std::string_view bytes);
/// HMAC-SHA256 (RFC 2104).
Bytes32 hmac_sha256(const Bytes32& secret, std::string_view bytes);

/// 64 hexadecimal digits, and back; nothing where the text is something else.
std::string to_hex(const Bytes32& bytes);
std::optional<Bytes32> from_hex(std::string_view digits);

/// Whether both are equal, in a time that does not depend on where they differ.
bool equal_in_constant_time(const Bytes32& a, const Bytes32& b);

/// From the operating system's random source. Ends the process where there is none (Linux before
/// 3.17), so it is first called while the program starts.
Bytes32 fresh_secret();

}  // namespace dunlin
