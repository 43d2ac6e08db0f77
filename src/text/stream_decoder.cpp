#include "text/stream_decoder.h"

namespace dunlin {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Bytes of the character that begins with `lead`; 0 where none can.
size_t character_bytes(unsigned char lead) {
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return 2;
    if (lead >= 0xe0 && lead <= 0xef) return 3;
    if (lead >= 0xf0 && lead <= 0xf4) return 4;
    return 0;
}

/// Whether `byte` may follow at place `at` of a character with that lead: no overlong forms, no
/// surrogates, nothing beyond U+10FFFF.
bool may_follow(unsigned char lead, size_t at, unsigned char byte) {
    if (at == 1 && lead == 0xe0) return byte >= 0xa0 && byte <= 0xbf;
    if (at == 1 && lead == 0xed) return byte >= 0x80 && byte <= 0x9f;
    if (at == 1 && lead == 0xf0) return byte >= 0x90 && byte <= 0xbf;
    if (at == 1 && lead == 0xf4) return byte >= 0x80 && byte <= 0x8f;
    return byte >= 0x80 && byte <= 0xbf;
}

}  // namespace

std::string StreamDecoder::push(TokenId id) {
    std::string_view bytes = tokenizer_->token_bytes(id);
    if (!begun_ && !bytes.empty()) {
        begun_ = true;
        if (tokenizer_->strips_leading_space() && bytes.front() == ' ') bytes.remove_prefix(1);
    }
    std::string out;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (!held_.empty() &&
            !may_follow(static_cast<unsigned char>(held_[0]), held_.size(), byte)) {
            out += kReplacement;  // what is held can never become a character
            held_.clear();
        }
        const size_t length = held_.empty() ? character_bytes(byte)
                                            : character_bytes(static_cast<unsigned char>(held_[0]));
        if (length == 0) {
            out += kReplacement;
            continue;
        }
        held_ += c;
        if (held_.size() == length) {
            out += held_;
            held_.clear();
        }
    }
    return out;
}

std::string StreamDecoder::finish() {
    const bool broken = !held_.empty();
    held_.clear();
    return broken ? std::string(kReplacement) : std::string();
}

}  // namespace dunlin
