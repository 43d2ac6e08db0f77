#include <algorithm>
#include <charconv>

#include "api/session_json.h"
#include "net/query.h"
#include "sessions/plain_text.h"
#include "wire/openai.h"

namespace dunlin {
namespace {

constexpr size_t kTitleCharactersMax = 256;
constexpr size_t kModelCharactersMax = 256;
constexpr size_t kQueryCharactersMax = 256;

std::unexpected<Error> wrong(std::string_view field, const std::string& what) {
    return fail(Code::Invalid, "'" + std::string(field) + "' " + what, std::string(field));
}

/// Enough of a name that somebody made up, whole characters.
std::string_view cut(std::string_view name) {
    std::string_view rest = name;
    for (size_t i = 0; i < 64 && !rest.empty(); ++i) take_character(rest);
    return name.substr(0, name.size() - rest.size());
}

Expected<Json> read_object(std::string_view body) {
    auto json = read_json(body);
    if (!json) return json;
    if (json->object() == nullptr)
        return fail(Code::Invalid, "the request body must be a JSON object");
    return json;
}

Expected<std::string> read_text(std::string_view name, const Json& value, size_t characters_max) {
    if (value.is_null()) return std::string();
    if (value.string() == nullptr) return wrong(name, "must be a string or null");
    const size_t characters = count_characters(*value.string());
    if (characters_max > 0 && characters > characters_max)
        return fail(Code::TextTooLong,
                    "'" + std::string(name) + "' has " + std::to_string(characters) +
                        " characters; " + std::to_string(characters_max) + " are the limit",
                    std::string(name));
    return *value.string();
}

Expected<std::string> read_parameters(const Json& value) {
    if (value.is_null()) return std::string();
    if (auto checked = check_answer_parameters(value); !checked) {
        Error error = checked.error();
        error.param = error.param.empty() ? "parameters" : "parameters." + error.param;
        return std::unexpected(std::move(error));
    }
    return write_json(value);
}

}  // namespace

Expected<SessionFields> read_session_fields(const ApiContext& api, std::string_view body) {
    const auto json = read_object(body);
    if (!json) return std::unexpected(json.error());
    SessionFields out;
    for (const auto& [key, value] : *json->object()) {
        Expected<std::string> text;
        std::optional<std::string>* to = nullptr;
        if (key == "title")
            to = &out.title, text = read_text(key, value, kTitleCharactersMax);
        else if (key == "model")
            to = &out.model, text = read_text(key, value, kModelCharactersMax);
        else if (key == "system")
            to = &out.system, text = read_text(key, value, api.settings.prompt_characters_max);
        else if (key == "parameters")
            to = &out.parameters, text = read_parameters(value);
        else
            return wrong(cut(key), "is no field of a session");
        if (!text) return std::unexpected(text.error());
        *to = std::move(*text);
    }
    if (out.model && !out.model->empty())
        if (const auto known = api.registry.resolve(*out.model); !known)
            return std::unexpected(known.error());
    return out;
}

Expected<Json> read_single_field(std::string_view body, std::string_view name) {
    const auto json = read_object(body);
    if (!json) return json;
    for (const auto& [key, value] : *json->object())
        if (key != name) return wrong(cut(key), "has no place here");
    const Json* const value = json->find(name);
    if (value == nullptr) return wrong(name, "is missing");
    return *value;
}

Expected<PageQuery> read_page_query(std::string_view target, std::string_view from_name,
                                    uint32_t limit_max) {
    const auto query = Query::parse(target);
    if (!query) return fail(Code::Invalid, "the query of the address is not percent-encoded right");
    PageQuery out;
    if (const std::string* limit = query->find("limit")) {
        const char* const end = limit->data() + limit->size();
        const auto [at, error] = std::from_chars(limit->data(), end, out.limit);
        if (error != std::errc() || at != end || out.limit < 1 || out.limit > limit_max)
            return wrong("limit", "must be a whole number from 1 to " + std::to_string(limit_max));
    }
    const std::pair<std::string_view, std::string*> texts[] = {
        {"query", &out.text}, {from_name, &out.from}, {"format", &out.format}};
    for (const auto& [name, to] : texts) {
        const std::string* const text = query->find(name);
        if (text == nullptr) continue;
        if (!is_utf8(*text)) return wrong(name, "is not UTF-8");
        if (count_characters(*text) > kQueryCharactersMax)
            return wrong(name, "has more than " + std::to_string(kQueryCharactersMax) +
                                   " characters, which are the limit");
        *to = *text;
    }
    return out;
}

}  // namespace dunlin
