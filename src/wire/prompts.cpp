#include "wire/prompts.h"

#include <algorithm>

#include "wire/fields.h"
#include "wire/text_limit.h"

namespace dunlin {
namespace {

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
                                   const TextLimit& limit, uint32_t& truncated) {
    if (!content || content->is_null()) return invalid("a message needs a content", where);
    if (const auto* text = content->string()) return limit_text(*text, limit, where, truncated);
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
        auto part_text = limit_text(*text->string(), limit, at + ".text", truncated);
        if (!part_text) return part_text;
        joined += *part_text;
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

Expected<WirePrompt> read_one_prompt(const Json& prompt, const TextLimit& limit,
                                     uint32_t& truncated) {
    if (const auto* text = prompt.string()) return limit_text(*text, limit, "prompt", truncated);
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

Expected<void> read_messages(const Json& body, const TextLimit& limit, WireRequest& out) {
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
        auto content =
            read_content(given_content, at + ".content", limit, out.truncated_characters);
        if (!content) return std::unexpected(content.error());
        out.messages.push_back({std::move(name), std::move(*content)});
    }
    return {};
}

Expected<void> read_prompt(const Json& body, const TextLimit& limit, WireRequest& out) {
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
        auto read = read_one_prompt(one, limit, out.truncated_characters);
        if (!read) return std::unexpected(read.error());
        if (!out.prompts.empty() && read->index() != out.prompts.front().index())
            return invalid("prompts must be all texts or all token ids", "prompt");
        out.prompts.push_back(std::move(*read));
    }
    return {};
}

}  // namespace dunlin
