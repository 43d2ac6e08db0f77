#include "sessions/text_match.h"

#include <clocale>
#include <cwctype>

#include "sessions/plain_text.h"

namespace dunlin {
namespace {

/// The locale C.UTF-8 is a part of the C library; where it is not, letters beyond ASCII keep their
/// case.
locale_t unicode_locale() {
    static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{});
    return locale;
}

/// Takes the first character off, in lower case.
char32_t take_lower(std::string_view& text) {
    const char32_t c = take_character(text);
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
    const locale_t locale = unicode_locale();
    if (locale == locale_t{}) return c;
    return static_cast<char32_t>(towlower_l(static_cast<wint_t>(c), locale));
}

}  // namespace

TextMatch::TextMatch(std::string_view wanted) {
    while (!wanted.empty()) wanted_ += take_lower(wanted);
}

bool TextMatch::in(std::string_view text) const {
    if (wanted_.empty()) return true;
    while (!text.empty()) {
        const char32_t first = take_lower(text);
        if (first != wanted_[0]) continue;
        std::string_view rest = text;
        size_t matched = 1;
        while (matched < wanted_.size() && !rest.empty() && take_lower(rest) == wanted_[matched])
            ++matched;
        if (matched == wanted_.size()) return true;
    }
    return false;
}

}  // namespace dunlin
