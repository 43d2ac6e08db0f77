#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/hosted_tokenizer.h"
#include "base/error.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace dunlin {

/// Compares two readings of one vocabulary: the tokens of some texts of many kinds, among them a
/// conversation in the model's own template where there is one, and what these tokens stand for.
/// Nothing where they agree; otherwise the first difference in words, without a full stop.
std::optional<std::string> tokenizer_difference(const Tokenizer& ours, const Tokenizer& library,
                                                const ChatTemplate* chat);

/// Ours, where llama.cpp's agrees with it or cannot be had; otherwise llama.cpp's, with a line in
/// the log that says why. Errors: that of ours, where there is neither.
Expected<ModelVocabulary> choose_tokenizer(
    const std::string& model, Expected<std::shared_ptr<const Tokenizer>> ours,
    const ChatTemplate* chat, const std::function<Expected<ModelVocabulary>()>& library);

}  // namespace dunlin
