#include "wire/text_limit.h"

#include <algorithm>

namespace dunlin {
namespace {

bool begins_character(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

/// The bytes of the first `count` code points.
size_t bytes_of(std::string_view utf8, size_t count) {
    size_t at = 0;
    while (at < utf8.size() && (count > 0 || !begins_character(utf8[at])))
        count -= begins_character(utf8[at++]) ? 1 : 0;
    return at;
}

}  // namespace

size_t count_characters(std::string_view utf8) {
    return static_cast<size_t>(std::count_if(utf8.begin(), utf8.end(), begins_character));
}

Expected<std::string> limit_text(std::string_view text, const TextLimit& limit, std::string param,
                                 uint32_t& truncated) {
    const size_t most = limit.characters_max;
    const size_t characters = count_characters(text);
    if (most == 0 || characters <= most) return std::string(text);
    if (limit.overlong == Overlong::Refuse)
        return fail(Code::TextTooLong,
                    "the text has " + std::to_string(characters) + " characters; the limit is " +
                        std::to_string(most),
                    std::move(param));
    const std::string_view gap = most < 5 ? std::string_view() : kCut;
    const size_t kept = most - count_characters(gap);
    const size_t tail = kept / 2;
    const size_t head = kept - tail;
    truncated += static_cast<uint32_t>(characters - kept);
    std::string out(text.substr(0, bytes_of(text, head)));
    return out.append(gap).append(text.substr(bytes_of(text, characters - tail)));
}

}  // namespace dunlin
