#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace dunlin {

/// The vocabulary of a GGUF file as llama.cpp understands it: every kind of tokenizer and
/// pre-tokenizer that this version of the library knows. Immutable; but the library ends the
/// process over some files and some texts, so that it belongs into a process of its own.
class LlamaCppVocabulary {
 public:
    virtual ~LlamaCppVocabulary() = default;

    struct Token {
        std::string piece;  // its spelling in the vocabulary
        std::string bytes;  // what it stands for in a text; empty for control tokens
        uint8_t kind = 1;   // as in tokenizer.ggml.token_type: 1 normal to 6 byte
        bool ends = false;  // the library ends an answer here
    };
    virtual uint32_t size() const = 0;
    virtual Token token(TokenId id) const = 0;  // REQUIRES: 0 <= id < size()
    virtual TokenId bos() const = 0;            // -1: none
    virtual TokenId eos() const = 0;
    /// Whether a space is put before a text, which is none of the text's.
    virtual bool puts_space() const = 0;
    /// Errors: TooLarge, Internal.
    virtual Expected<std::vector<TokenId>> encode(std::string_view utf8, bool add_special,
                                                  bool parse_special) const = 0;
};

/// Reads the vocabulary alone, no weights. Errors: what GgufFile::open gives; Unsupported with the
/// library's reason, or how to get it where this build is without.
Expected<std::unique_ptr<LlamaCppVocabulary>> load_llamacpp_vocabulary(const std::string& path);

}  // namespace dunlin
