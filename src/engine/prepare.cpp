#include "engine/prepare.h"

#include <algorithm>
#include <cstdio>
#include <random>

namespace dunlin {
namespace {

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
            out += escaped;
        } else {
            out += c;
        }
    }
    out += '"';
}

Expected<std::vector<TokenId>> prompt_of(const Request& request, const Tokenizer& tokenizer,
                                         const ChatTemplate* chat_template, int64_t now_unix_s) {
    if (const auto* ids = std::get_if<std::vector<TokenId>>(&request.prompt)) {
        for (const TokenId id : *ids)
            if (id < 0 || static_cast<uint32_t>(id) >= tokenizer.size())
                return fail(Code::Invalid, "there is no token " + std::to_string(id), "prompt");
        return *ids;
    }
    if (const auto* text = std::get_if<std::string>(&request.prompt))
        return tokenizer.encode(*text, {.add_special = true, .parse_special = true});
    if (chat_template == nullptr)
        return fail(Code::Unsupported,
                    "this model has no chat template; use /v1/completions instead", "messages");
    const auto text = chat_template->render(
        chat_context(std::get<std::vector<Message>>(request.prompt)), now_unix_s);
    if (!text) return fail(text.error().code, text.error().message, "messages");
    return tokenizer.encode(*text, {.add_special = false, .parse_special = true});
}

}  // namespace

std::string chat_context(const std::vector<Message>& messages) {
    std::string json = "{\"messages\":[";
    for (const Message& message : messages) {
        json += json.back() == '}' ? ",{\"role\":" : "{\"role\":";
        append_quoted(json, message.role);
        json += ",\"content\":";
        append_quoted(json, message.content);
        json += '}';
    }
    return json + "],\"add_generation_prompt\":true}";
}

Expected<std::unique_ptr<LocalPrepared>> prepare_request(
    const Request& request, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
    const EngineSettings& settings, const Capabilities& capabilities, int64_t now_unix_s) {
    if (request.choices == 0 || request.choices > settings.choices_max)
        return fail(Code::Invalid,
                    "n must be 1 to " + std::to_string(settings.choices_max) + ", not " +
                        std::to_string(request.choices),
                    "n");
    if (auto error = invalid(request.sampling)) return std::unexpected(std::move(*error));
    auto prompt = prompt_of(request, tokenizer, chat_template, now_unix_s);
    if (!prompt) return std::unexpected(prompt.error());
    const bool chat = std::holds_alternative<std::vector<Message>>(request.prompt);
    if (prompt->empty())
        return fail(Code::Invalid, "the prompt is empty", chat ? "messages" : "prompt");
    for (const auto& [id, bias] : request.sampling.logit_bias)
        if (id < 0 || static_cast<uint32_t>(id) >= tokenizer.size())
            return fail(Code::Invalid, "there is no token " + std::to_string(id), "logit_bias");

    const uint32_t context = capabilities.sequence_tokens_max;
    if (prompt->size() >= context)
        return fail(Code::TooLong,
                    "This model's maximum context length is " + std::to_string(context) +
                        " tokens. However, your messages resulted in " +
                        std::to_string(prompt->size()) + " tokens. Please reduce their length.",
                    chat ? "messages" : "prompt");
    auto prepared = std::make_unique<LocalPrepared>();
    uint32_t room = context - static_cast<uint32_t>(prompt->size());
    if (settings.response_tokens_max > 0) room = std::min(room, settings.response_tokens_max);
    prepared->answer_tokens_max = std::min(request.max_tokens.value_or(room), room);
    prepared->prompt = std::move(*prompt);
    prepared->request = request;
    if (!prepared->request.sampling.seed) {
        std::random_device random;
        prepared->request.sampling.seed = uint64_t{random()} << 32 | random();
    }
    return prepared;
}

}  // namespace dunlin
