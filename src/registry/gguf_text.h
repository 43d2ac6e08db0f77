#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "formats/gguf.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace dunlin {

/// The tokenizer that a GGUF file's `tokenizer.ggml.*` keys describe. Errors: Unsupported (no
/// vocabulary, or one of a kind that is not known), Invalid.
Expected<std::shared_ptr<const Tokenizer>> tokenizer_from_gguf(const GgufFile& file);

/// The tokenizer that the model's publisher wrote: `tokenizer.json` in the folder of the file at
/// `path`, with `tokenizer_config.json` where that is there too. A null pointer where there is
/// none. Errors: Unsupported where it is another model's, by the spelling of its tokens; those of
/// tokenizer_from_json().
Expected<std::shared_ptr<const Tokenizer>> tokenizer_beside(const std::string& path,
                                                            const GgufFile& file);

/// The file's chat template; a null pointer where it has none. Errors: Invalid, TooLarge.
Expected<std::unique_ptr<ChatTemplate>> chat_template_from_gguf(const GgufFile& file);

}  // namespace dunlin
