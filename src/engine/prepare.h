#pragma once

#include <memory>

#include "engine/engine.h"
#include "engine/local_engine.h"

namespace dunlin {

/// What a request is once it can be scheduled.
struct LocalPrepared final : Prepared {
    std::vector<TokenId> prompt;
    Request request;  // its prompt is not needed any more
    uint32_t answer_tokens_max = 0;

    uint32_t prompt_tokens() const override { return static_cast<uint32_t>(prompt.size()); }
    uint32_t max_tokens() const override { return answer_tokens_max; }
    std::span<const TokenId> prompt_ids() const override { return prompt; }
};

/// Renders, tokenizes, and checks that prompt and answer can ever fit.
Expected<std::unique_ptr<LocalPrepared>> prepare_request(
    const Request& request, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
    const EngineSettings& settings, const Capabilities& capabilities, int64_t now_unix_s);

/// The context that chat templates see: {"messages":[{"role":...,"content":...}],
/// "add_generation_prompt":true}.
std::string chat_context(const std::vector<Message>& messages);

}  // namespace dunlin
