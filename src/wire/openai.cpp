#include "wire/openai.h"

#include <algorithm>
#include <charconv>

namespace dunlin {
namespace {

/// A member that is there and not null.
const Json* given(const Json& body, std::string_view name) {
    const Json* value = body.find(name);
    return value && !value->is_null() ? value : nullptr;
}

std::unexpected<Error> invalid(std::string message, std::string param) {
    return fail(Code::Invalid, std::move(message), std::move(param));
}

Expected<void> check_length(std::string_view text, uint32_t characters_max, std::string param) {
    const size_t characters = count_characters(text);
    if (characters_max == 0 || characters <= characters_max) return {};
    return invalid("the text has " + std::to_string(characters) + " characters; the limit is " +
                       std::to_string(characters_max),
                   std::move(param));
}

/// Only names that we know are repeated: a message to a client must not carry a prompt's text.
std::unexpected<Error> refuse_part(std::string_view type, std::string param) {
    for (const std::string_view known : {"image_url", "input_audio", "file", "refusal"})
        if (type == known)
            return invalid("parts of type '" + std::string(known) +
                               "' are not supported; this model reads text parts only",
                           std::move(param));
    return invalid("this type of part is unknown; this model reads text parts only",
                   std::move(param));
}

Expected<std::string> read_content(const Json* content, const std::string& where,
                                   uint32_t characters_max) {
    if (!content || content->is_null()) return invalid("a message needs a content", where);
    if (const auto* text = content->string()) {
        if (auto ok = check_length(*text, characters_max, where); !ok)
            return std::unexpected(ok.error());
        return *text;
    }
    if (!content->array()) return invalid("content must be a string or an array of parts", where);
    std::string joined;
    for (size_t i = 0; i < content->array()->size(); ++i) {
        const Json& part = (*content->array())[i];
        const std::string at = where + ".[" + std::to_string(i) + "]";
        const Json* type = part.find("type");
        if (!type || !type->string()) return invalid("a content part needs a type", at + ".type");
        if (*type->string() != "text") return refuse_part(*type->string(), at + ".type");
        const Json* text = part.find("text");
        if (!text || !text->string()) return invalid("a text part needs a text", at + ".text");
        if (auto ok = check_length(*text->string(), characters_max, at + ".text"); !ok)
            return std::unexpected(ok.error());
        joined += *text->string();
    }
    return joined;
}

/// What a message says beside role and content: refused where the answer depends on it.
Expected<void> check_members(const Json& message, const std::string& at,
                             std::vector<std::string>& ignored) {
    for (const auto& [key, value] : *message.object()) {
        if (key == "role" || key == "content" || value.is_null()) continue;
        if (key == "tool_calls" && value.array() && value.array()->empty()) continue;
        if (key == "tool_calls" || key == "function_call")
            return invalid("tool calls are not supported yet", at + "." + key);
        if (key == "audio") return invalid("audio is not supported", at + ".audio");
        const std::string name = "messages." + key;
        if (std::find(ignored.begin(), ignored.end(), name) == ignored.end() && ignored.size() < 64)
            ignored.push_back(name);
    }
    return {};
}

Expected<void> read_messages(const Json& body, uint32_t characters_max, WireRequest& out) {
    static constexpr std::string_view kRoles[] = {"system", "user", "assistant", "tool"};
    const Json* messages = given(body, "messages");
    if (!messages) return invalid("'messages' is required", "messages");
    for (size_t i = 0; i < messages->array()->size(); ++i) {
        const Json& one = (*messages->array())[i];
        const std::string at = "messages.[" + std::to_string(i) + "]";
        const Json* role = one.find("role");
        if (!role || !role->string()) return invalid("a message needs a role", at + ".role");
        std::string name = *role->string() == "developer" ? "system" : *role->string();
        if (std::find(std::begin(kRoles), std::end(kRoles), name) == std::end(kRoles))
            return invalid("role must be one of developer, system, user, assistant, tool",
                           at + ".role");
        if (auto ok = check_members(one, at, out.ignored); !ok) return ok;
        const Json* given_content = given(one, "content");
        if (!given_content && name == "assistant") {  // as OpenAI allows beside tool calls
            out.messages.push_back({std::move(name), {}});
            continue;
        }
        auto content = read_content(given_content, at + ".content", characters_max);
        if (!content) return std::unexpected(content.error());
        out.messages.push_back({std::move(name), std::move(*content)});
    }
    return {};
}

Expected<WirePrompt> read_one_prompt(const Json& prompt, uint32_t characters_max) {
    if (const auto* text = prompt.string()) {
        if (auto ok = check_length(*text, characters_max, "prompt"); !ok)
            return std::unexpected(ok.error());
        return *text;
    }
    std::vector<int32_t> ids;
    if (!prompt.array() || prompt.array()->empty())
        return invalid("a prompt must be a string or an array of token ids", "prompt");
    for (const Json& one : *prompt.array()) {
        int64_t id = 0;
        if (!one.to_int64(id) || id < 0 || id > INT32_MAX)
            return invalid("a token id is not an integer of 0 to 2147483647", "prompt");
        ids.push_back(static_cast<int32_t>(id));
    }
    return ids;
}

Expected<void> read_prompt(const Json& body, uint32_t characters_max, WireRequest& out) {
    const Json* prompt = given(body, "prompt");
    if (!prompt) return invalid("'prompt' is required", "prompt");
    const auto* array = prompt->array();
    const bool many = array && !array->empty() && !array->front().is_number();
    const Json::Array single{*prompt};
    const Json::Array& list = many ? *array : single;
    if (list.size() * out.n > kPromptsMax)
        return invalid("one request may ask for " + std::to_string(kPromptsMax) +
                           " answers; these are " + std::to_string(list.size()) + " prompts with " +
                           std::to_string(out.n) + " each",
                       "prompt");
    for (const Json& one : list) {
        auto read = read_one_prompt(one, characters_max);
        if (!read) return std::unexpected(read.error());
        if (!out.prompts.empty() && read->index() != out.prompts.front().index())
            return invalid("prompts must be all texts or all token ids", "prompt");
        out.prompts.push_back(std::move(*read));
    }
    return {};
}

Expected<void> read_stop(const Json& body, WireRequest& out) {
    const Json* stop = given(body, "stop");
    if (!stop) return {};
    const Json::Array one{*stop};
    for (const Json& text : stop->array() ? *stop->array() : one) {
        if (!text.string() || text.string()->empty() || text.string()->size() > 1024)
            return invalid("each stop must be a string of 1 to 1024 bytes", "stop");
        out.stop.push_back(*text.string());
    }
    return {};
}

Expected<void> read_logit_bias(const Json& body, WireRequest& out) {
    const Json* bias = given(body, "logit_bias");
    if (!bias) return {};
    if (bias->object()->size() > 4096)
        return invalid("'logit_bias' has more than 4096 entries", "logit_bias");
    for (const auto& [key, value] : *bias->object()) {
        int32_t id = -1;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (error != std::errc{} || end != key.data() + key.size() || id < 0)
            return invalid("the keys of 'logit_bias' must be token ids", "logit_bias");
        if (!value.is_number() || value.number() < -100 || value.number() > 100)
            return invalid("the values of 'logit_bias' must be between -100 and 100", "logit_bias");
        out.logit_bias.emplace_back(id, static_cast<float>(value.number()));
    }
    return {};
}

Expected<void> read_logprobs(const Json& body, Dialect dialect, WireRequest& out) {
    const Json* logprobs = given(body, "logprobs");
    int64_t count = 0;
    if (dialect == Dialect::Completions) {
        if (logprobs && logprobs->to_int64(count)) out.logprobs = static_cast<uint32_t>(count);
        if (out.echo && out.logprobs)
            return invalid("'echo' together with 'logprobs' is not supported", "echo");
        return {};
    }
    const bool on = logprobs && *logprobs->boolean();
    const Json* top = given(body, "top_logprobs");
    if (top && !on) return invalid("'top_logprobs' needs 'logprobs': true", "top_logprobs");
    if (top) top->to_int64(count);
    if (on) out.logprobs = static_cast<uint32_t>(count);
    return {};
}

Expected<void> read_stream_options(const Json& body, WireRequest& out) {
    const Json* options = given(body, "stream_options");
    if (!options) return {};
    const Json* usage = given(*options, "include_usage");
    if (usage && !usage->boolean())
        return invalid("'include_usage' must be of type boolean", "stream_options.include_usage");
    out.include_usage = usage && *usage->boolean();
    for (const auto& [key, value] : *options->object())
        if (key != "include_usage") out.ignored.push_back("stream_options." + key);
    // OpenAI refuses these without a stream; clients with fixed settings send them anyway.
    if (!out.stream) out.ignored.emplace_back("stream_options");
    return {};
}

/// Limits that depend on more than one field.
Expected<void> check_together(const Json& body, const WireRequest& out) {
    const Json* best_of = given(body, "best_of");
    if (best_of && best_of->number() != out.n)
        return invalid("'best_of' is supported only where it equals 'n'", "best_of");
    const Json* strict = given(body, "strict_params");
    if (strict && *strict->boolean() && !out.ignored.empty())
        return invalid("this field has no effect here, and 'strict_params' refuses such fields",
                       out.ignored.front());
    return {};
}

/// Types and ranges were checked by the table.
void read_plain(const Json& body, WireRequest& out) {
    const auto number = [&](std::string_view name, auto& field) {
        if (const Json* value = given(body, name))
            field = static_cast<std::decay_t<decltype(field)>>(value->number());
    };
    const auto flag = [&](std::string_view name, bool& field) {
        if (const Json* value = given(body, name)) field = *value->boolean();
    };
    if (const Json* model = given(body, "model")) out.model = *model->string();
    number("temperature", out.temperature);
    number("top_p", out.top_p);
    number("min_p", out.min_p);
    number("top_k", out.top_k);
    number("repetition_penalty", out.repetition_penalty);
    number("presence_penalty", out.presence_penalty);
    number("frequency_penalty", out.frequency_penalty);
    number("n", out.n);
    flag("stream", out.stream);
    flag("ignore_eos", out.ignore_eos);
    flag("echo", out.echo);
    int64_t seed = 0;
    if (const Json* value = given(body, "seed"); value && value->to_int64(seed))
        out.seed = static_cast<uint64_t>(seed);
    for (const auto* name : {"max_tokens", "max_completion_tokens"})
        if (const Json* value = given(body, name)) {
            const auto most = static_cast<uint32_t>(value->number());
            out.max_tokens = std::min(out.max_tokens.value_or(most), most);
        }
}

}  // namespace

Expected<WireRequest> parse_request(std::string_view text, Dialect dialect,
                                    uint32_t characters_max) {
    auto body = read_json(text);
    if (!body) return std::unexpected(body.error());
    auto ignored = check_parameters(*body, dialect);
    if (!ignored) return std::unexpected(ignored.error());
    WireRequest out;
    out.ignored = std::move(*ignored);
    read_plain(*body, out);
    auto step = read_stream_options(*body, out);
    if (step)
        step = dialect == Dialect::Chat ? read_messages(*body, characters_max, out)
                                        : read_prompt(*body, characters_max, out);
    if (step) step = read_stop(*body, out);
    if (step) step = read_logit_bias(*body, out);
    if (step) step = read_logprobs(*body, dialect, out);
    if (step) step = check_together(*body, out);
    if (!step) return std::unexpected(step.error());
    return out;
}

Json error_json(std::string_view message, std::string_view type, std::string_view param,
                std::string_view code) {
    Json error(Json::Object{});
    error.set("message", message)
        .set("type", type)
        .set("param", param.empty() ? Json() : Json(param))
        .set("code", code.empty() ? Json() : Json(code));
    return Json::Object{{"error", std::move(error)}};
}

Json usage_json(uint32_t prompt, uint32_t cached, uint32_t completion) {
    return Json::Object{
        {"prompt_tokens", prompt},
        {"completion_tokens", completion},
        {"total_tokens", uint64_t{prompt} + completion},
        {"prompt_tokens_details", Json::Object{{"cached_tokens", cached}}},
        {"completion_tokens_details", Json::Object{{"reasoning_tokens", 0},
                                                   {"accepted_prediction_tokens", 0},
                                                   {"rejected_prediction_tokens", 0}}}};
}

size_t count_characters(std::string_view utf8) {
    return static_cast<size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

std::string lossy_utf8(std::string_view bytes) {
    std::string out;
    for (size_t i = 0; i < bytes.size();) {
        const auto lead = static_cast<unsigned char>(bytes[i]);
        const size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        const auto piece = bytes.substr(i, length);
        // Boost.JSON's own check decides what is whole: one rule in the program.
        if (piece.size() == length && (length == 1 || read_json('"' + std::string(piece) + '"'))) {
            out += piece;
            i += length;
        } else {
            out += "\xEF\xBF\xBD";
            ++i;
        }
    }
    return out;
}

}  // namespace dunlin
