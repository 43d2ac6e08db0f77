#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "runner/process/service.h"
#include "text/tokenizer.h"

namespace dunlin {

struct ModelVocabulary {
    std::shared_ptr<const Tokenizer> tokenizer;
    std::vector<TokenId> end_tokens = {};  // of an answer, as far as it is known from here
};

/// llama.cpp's reading of a file's vocabulary. The tokens are here; what turns texts into them
/// lives in a process of its own, which a text may end: that costs the request that brought the
/// text. Errors: those of load_llamacpp_vocabulary and Service::ask.
Expected<ModelVocabulary> hosted_vocabulary(const std::string& path);

/// What that process answers. `path`: the GGUF file.
Expected<AnswerText> answer_for_vocabulary(const std::string& path);

}  // namespace dunlin
