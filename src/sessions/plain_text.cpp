#include "sessions/plain_text.h"

#include <algorithm>

namespace dunlin {
namespace {

constexpr size_t kTitleCharactersMax = 60;
constexpr size_t kTitleSourceBytesMax = 4096;

/// How many bytes the first character has; 0 where they are not valid UTF-8 (RFC 3629).
size_t character_bytes(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return 0;
    for (size_t i = 1; i < bytes; ++i)
        if ((byte(i) & 0xc0) != 0x80) return 0;
    const unsigned second = byte(1);  // rules out long forms, surrogates, and beyond U+10FFFF
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return bytes;
}

bool is_space(char32_t c) {
    return c <= 0x20 || c == 0x7f || (c >= 0x80 && c <= 0xa0) || c == 0x2028 || c == 0x2029 ||
           c == 0x3000;
}

}  // namespace

char32_t take_character(std::string_view& text) {
    const size_t bytes = character_bytes(text);
    auto c = static_cast<char32_t>(static_cast<unsigned char>(text[0]));
    if (bytes == 0) {
        text.remove_prefix(1);
        return 0xdc00 + c;
    }
    if (bytes > 1) c &= 0x7fU >> bytes;
    for (size_t i = 1; i < bytes; ++i) c = c << 6 | (static_cast<unsigned char>(text[i]) & 0x3fU);
    text.remove_prefix(bytes);
    return c;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const size_t bytes = character_bytes(text);
        if (bytes == 0) return false;
        text.remove_prefix(bytes);
    }
    return true;
}

std::string one_line(std::string_view text) {
    std::string out;
    bool space = false;
    while (!text.empty()) {
        const std::string_view before = text;
        const char32_t c = take_character(text);
        if (is_space(c)) {
            space = !out.empty();
            continue;
        }
        if (space) out += ' ';
        space = false;
        out += before.substr(0, before.size() - text.size());
    }
    return out;
}

std::string title_from(std::string_view question) {
    // A question may have megabytes; its title needs the beginning.
    size_t bytes = std::min(question.size(), kTitleSourceBytesMax);
    while (bytes > 0 && bytes < question.size() &&
           (static_cast<unsigned char>(question[bytes]) & 0xc0) == 0x80)
        --bytes;
    std::string line = one_line(question.substr(0, bytes));
    std::string_view rest = line;
    size_t characters = 0, last_space = 0, fits = 0;  // in bytes
    while (!rest.empty()) {
        const size_t at = line.size() - rest.size();
        if (characters <= kTitleCharactersMax - 3) {
            fits = at;
            if (line[at] == ' ') last_space = at;
        }
        if (characters == kTitleCharactersMax)
            return line.substr(0, last_space * 2 > fits ? last_space : fits) + "...";
        take_character(rest);
        ++characters;
    }
    return line;
}

}  // namespace dunlin
