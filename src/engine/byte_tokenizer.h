#pragma once

#include <memory>

#include "text/tokenizer.h"

namespace dunlin {

/// A tokenizer without a vocabulary, for the fake runner: token n is byte n, and kEnd ends a text.
inline constexpr TokenId kByteTokenizerEnd = 256;
inline constexpr uint32_t kByteTokenizerSize = 257;
std::unique_ptr<Tokenizer> make_byte_tokenizer();

}  // namespace dunlin
