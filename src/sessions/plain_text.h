#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dunlin {

/// Takes the first code point off. A byte that does not begin valid UTF-8 comes alone, as 0xDC00
/// plus its value, which no text holds. REQUIRES: `text` is not empty.
char32_t take_character(std::string_view& text);
bool is_utf8(std::string_view text);

/// The text as one line: control characters and spaces become one space each run, none at the ends.
std::string one_line(std::string_view text);
/// The title that a question gives: one line of at most 60 characters, cut at a word where one
/// ends near, with "..." where something was cut.
std::string title_from(std::string_view question);

}  // namespace dunlin
