#pragma once

#include <memory>

#include "base/error.h"
#include "formats/gguf.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace dunlin {

/// The tokenizer that a GGUF file's `tokenizer.ggml.*` keys describe. Errors: Unsupported (no
/// vocabulary, or one of a kind that is not known), Invalid.
Expected<std::shared_ptr<const Tokenizer>> tokenizer_from_gguf(const GgufFile& file);

/// The file's chat template; a null pointer where it has none. Errors: Invalid, TooLarge.
Expected<std::unique_ptr<ChatTemplate>> chat_template_from_gguf(const GgufFile& file);

}  // namespace dunlin
