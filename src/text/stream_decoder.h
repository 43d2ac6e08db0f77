#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace dunlin {

/// Turns ids, one at a time, into whole characters: bytes of an unfinished UTF-8 character are held
/// back until the rest has come. The pieces put together equal Tokenizer::decode of all ids.
/// Not thread-safe. The tokenizer must outlive it.
class StreamDecoder {
 public:
    explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

    /// The text that became whole with this token; often empty. Bytes that can never become a
    /// character come out as U+FFFD.
    std::string push(TokenId id);
    /// What is still held back, as U+FFFD; call once at the end.
    std::string finish();

 private:
    const Tokenizer* tokenizer_;
    std::string held_;    // at most 3 bytes
    bool begun_ = false;  // SentencePiece: the first token's leading space is not text
};

}  // namespace dunlin
