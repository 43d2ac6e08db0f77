#include "wire/prompts.h"

#include <algorithm>

#include "wire/fields.h"

namespace dunlin {
namespace {

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

}  // namespace

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

}  // namespace dunlin
