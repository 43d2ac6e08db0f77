#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace dunlin {

/// What becomes of a text that is longer than allowed.
enum class Overlong : uint8_t { Refuse, Trim };

/// How many code points one text of a prompt may have; 0: any number.
struct TextLimit {
    uint32_t characters_max = 0;
    Overlong overlong = Overlong::Refuse;
};

/// A text within the limit. One above it is refused, or loses its middle: the beginning says what
/// is asked and the end what is asked last. kCut stands in the gap and counts as part of the limit;
/// a limit below five leaves no room for it. `truncated` grows by the code points that were left
/// out. REQUIRES: `text` is UTF-8.
/// Errors: TextTooLong with both numbers and `param`.
Expected<std::string> limit_text(std::string_view text, const TextLimit& limit, std::string param,
                                 uint32_t& truncated);

inline constexpr std::string_view kCut = " \u2026 ";  // three code points

/// Code points of valid UTF-8.
size_t count_characters(std::string_view utf8);

}  // namespace dunlin
