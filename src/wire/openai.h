#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "json/json.h"
#include "wire/parameters.h"
#include "wire/text_limit.h"

namespace dunlin {

struct WireMessage {
    std::string role, content;
};

/// A text, or token ids.
using WirePrompt = std::variant<std::string, std::vector<int32_t>>;
inline constexpr size_t kPromptsMax = 64;  // also of all answers to them

/// A checked body of /chat/completions or /completions.
struct WireRequest {
    std::string model;       // empty: the default
    std::string session_id;  // empty: none
    bool trims = false;      // truncation: auto
    std::vector<WireMessage> messages;
    std::vector<WirePrompt> prompts;  // each gets n answers, in this order
    bool stream = false, include_usage = false;
    std::optional<uint32_t> max_tokens;
    double temperature = 1, top_p = 1, min_p = 0;
    double repetition_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
    int32_t top_k = 0;
    std::vector<std::pair<int32_t, float>> logit_bias;
    std::optional<uint64_t> seed;
    uint32_t n = 1;
    std::vector<std::string> stop;
    bool ignore_eos = false, echo = false;
    std::optional<uint32_t> logprobs;   // number of alternatives
    std::vector<std::string> ignored;   // fields without effect, "messages.name" for inner ones
    uint32_t truncated_characters = 0;  // left out of texts that were too long
};

/// Errors: Invalid with the field as `param`; TooLarge. `limit` holds for each text part and each
/// prompt that is a text.
Expected<WireRequest> read_request(const Json& body, Dialect dialect, const TextLimit& limit);
Expected<WireRequest> parse_request(std::string_view body, Dialect dialect, const TextLimit& limit);

/// Request parameters alone, as a session keeps them: what an answer is generated with.
/// Errors: Invalid, with the name as `param`, for a wrong value, for a name that is not known or
/// has no effect, and for what is not for a session to say (messages, model, n, stream, logprobs,
/// ...).
Expected<void> check_answer_parameters(const Json& parameters);

/// The error object that OpenAI's clients read; `param` empty means null.
Json error_json(std::string_view message, std::string_view type, std::string_view param,
                std::string_view code);

Json usage_json(uint32_t prompt, uint32_t cached, uint32_t completion);

/// `bytes` with every part that is not UTF-8 replaced by U+FFFD.
std::string lossy_utf8(std::string_view bytes);

}  // namespace dunlin
