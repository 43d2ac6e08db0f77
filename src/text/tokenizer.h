#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace dunlin {

/// Everything a GGUF file says about its vocabulary (the `tokenizer.*` keys), as plain data so that
/// this rung need not know the file format. Views are borrowed for the call that takes them.
struct VocabularySpec {
    std::string_view
        model;  // tokenizer.ggml.model: "gpt2" (byte-level BPE), "llama" (SentencePiece BPE)
    std::string_view pre;  // tokenizer.ggml.pre: which pre-tokenizer; unknown names are refused
    std::span<const std::string_view> tokens;  // by id
    std::span<const int32_t>
        kinds;  // by id: 1 normal, 2 unknown, 3 control, 4 user, 5 unused, 6 byte
    std::span<const float> scores;             // by id; SentencePiece only
    std::span<const std::string_view> merges;  // "left right", best first; byte-level BPE only
    TokenId bos = -1, eos = -1, unk = -1;
    bool add_bos = false, add_eos = false, add_space_prefix = true;
};

enum class TokenKind : uint8_t { Normal, Unknown, Control, UserDefined, Unused, Byte };

/// Text to token ids and back. Immutable after construction. [any thread]
class Tokenizer {
 public:
    virtual ~Tokenizer() = default;

    /// Ids are 0 <= id < size(); gaps are possible.
    virtual uint32_t size() const = 0;
    virtual TokenId bos() const = 0;  // -1: none
    virtual TokenId eos() const = 0;  // -1: none

    struct EncodeOptions {
        bool add_special = false;    // put begin/end tokens where the model wants them
        bool parse_special = false;  // "<|im_start|>" in the text means the token, not its letters
    };
    /// Errors: TooLarge (above the input limit), Invalid (not UTF-8).
    virtual Expected<std::vector<TokenId>> encode(std::string_view utf8,
                                                  EncodeOptions options) const = 0;

    /// The whole text at once; control tokens are left out. Broken UTF-8 becomes U+FFFD.
    /// Errors: Invalid (an id out of range).
    virtual Expected<std::string> decode(std::span<const TokenId> ids) const;

    /// The bytes a token stands for, possibly a part of a character. Empty for control tokens and
    /// gaps. Valid for the tokenizer's life. REQUIRES: 0 <= id < size().
    virtual std::string_view token_bytes(TokenId id) const = 0;
    virtual TokenKind token_kind(TokenId id) const = 0;

    /// SentencePiece writes a space before a text; the first one of what it decodes is not text.
    virtual bool strips_leading_space() const { return false; }

    /// The piece's own spelling in the vocabulary ("<|im_end|>"), -1 for none.
    virtual TokenId token_id(std::string_view piece) const = 0;
};

/// From the text of a `tokenizer.json` and, where there is one, a `tokenizer_config.json`.
Expected<std::unique_ptr<Tokenizer>> tokenizer_from_json(std::string_view json,
                                                         std::string_view config_json = {});
/// From a GGUF file's keys. Errors: Unsupported (unknown model or pre-tokenizer name, says which).
Expected<std::unique_ptr<Tokenizer>> tokenizer_from_vocabulary(const VocabularySpec& spec);

}  // namespace dunlin
