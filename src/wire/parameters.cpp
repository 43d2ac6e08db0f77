#include "wire/parameters.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "wire/openai.h"

namespace dunlin {
namespace {

using Type = Parameter::Type;

constexpr auto kParameters = std::to_array<Parameter>({
#define PARAMETER(name, type, least, most, fallback, dialects, effect) \
    {#name, Type::type, least, most, fallback, Dialect::dialects, effect},
#include "wire/parameters.def"
#undef PARAMETER
});

constexpr std::pair<std::string_view, std::string_view> kSchemas[] = {
#define SCHEMA(name, json) {#name, json},
#include "wire/schemas.def"
#undef SCHEMA
};

/// JSON in our own tables.
Json literal(std::string_view text) {
    auto value = read_json(text);
    CHECK(value.has_value());
    return std::move(*value);
}

std::string shortest(double value) {
    return *write_json(value);
}

std::string_view json_type(Type type) {
    switch (type) {
        case Type::Boolean:
            return "boolean";
        case Type::Integer:
            return "integer";
        case Type::Number:
            return "number";
        case Type::Array:
            return "array";
        case Type::Object:
            return "object";
        default:
            return "string";
    }
}

Type type_in(const Parameter& row, Dialect dialect) {
    if (row.type != Type::Logprobs) return row.type;
    return dialect == Dialect::Chat ? Type::Boolean : Type::Integer;
}

bool has_type(const Json& value, Type type) {
    int64_t integer = 0;
    switch (type) {
        case Type::Boolean:
            return value.boolean();
        case Type::Integer:
            return value.to_int64(integer);
        case Type::Number:
            return value.is_number();
        case Type::String:
            return value.string();
        case Type::Array:
            return value.array();
        case Type::Object:
            return value.object();
        case Type::Prompt:
        case Type::Stop:
            return value.string() || value.array();
        default:
            return true;
    }
}

Expected<void> check(const Parameter& row, Type type, const Json& value) {
    const std::string name(row.name);
    if (type == Type::Refused) {
        const Json accepted = literal(row.default_json);
        const auto& list = *accepted.array();
        if (std::find(list.begin(), list.end(), value) != list.end()) return {};
        return fail(Code::Invalid, "'" + name + "': " + std::string(row.effect), name);
    }
    if (!has_type(value, type)) {
        const bool either = type == Type::Prompt || type == Type::Stop;
        return fail(
            Code::Invalid,
            "'" + name + "' must be " +
                (either ? "a string or an array" : "of type " + std::string(json_type(type))),
            name);
    }
    if (type == Type::Boolean || type == Type::Object || type == Type::Ignored) return {};
    double measure = 1;
    std::string what = "'" + name + "' must be";
    if (value.is_number())
        measure = value.number();
    else if (value.array())
        measure = static_cast<double>(value.array()->size()), what += " of a length";
    else if (type == Type::String)
        measure = static_cast<double>(count_characters(*value.string())), what += " of a length";
    if (measure < row.least || measure > row.most)
        return fail(Code::Invalid,
                    what + " between " + shortest(row.least) + " and " + shortest(row.most), name);
    return {};
}

}  // namespace

std::span<const Parameter> request_parameters() {
    return kParameters;
}

Expected<std::vector<std::string>> check_parameters(const Json& body, Dialect dialect) {
    if (!body.object()) return fail(Code::Invalid, "the request body must be a JSON object");
    std::vector<std::string> ignored;
    for (const auto& [key, value] : *body.object()) {
        const auto row = std::find_if(kParameters.begin(), kParameters.end(), [&](const auto& one) {
            return one.name == key && one.in(dialect);
        });
        if (row == kParameters.end() || row->type == Type::Ignored) {
            ignored.push_back(key);
            continue;
        }
        if (value.is_null()) continue;
        if (auto checked = check(*row, type_in(*row, dialect), value); !checked)
            return std::unexpected(checked.error());
    }
    return ignored;
}

bool is_answer_parameter(std::string_view name) {
    constexpr std::string_view kOther[] = {"messages", "model",        "session_id",
                                           "n",        "stream",       "stream_options",
                                           "logprobs", "top_logprobs", "strict_params"};
    if (std::find(std::begin(kOther), std::end(kOther), name) != std::end(kOther)) return false;
    return std::any_of(kParameters.begin(), kParameters.end(), [&](const Parameter& row) {
        return row.name == name && row.in(Dialect::Chat) && row.type != Type::Ignored;
    });
}

namespace {

/// A limit as an integer has it: 2^63 in the table stands for the largest one.
int64_t to_integer(double limit) {
    return limit >= 0x1p63 ? INT64_MAX : static_cast<int64_t>(limit);
}

Json plain_schema(const Parameter& row, Type type) {
    Json one(Json::Object{});
    if (type == Type::Refused) {
        Json accepted = literal(row.default_json);
        accepted.array()->emplace_back(nullptr);
        one.set("enum", std::move(accepted));
        return one;
    }
    if (type != Type::Ignored) one.set("type", Json::Array{std::string(json_type(type)), "null"});
    if (type == Type::Number) one.set("minimum", row.least).set("maximum", row.most);
    if (type == Type::Integer)
        one.set("minimum", to_integer(row.least)).set("maximum", to_integer(row.most));
    if (type == Type::String) one.set("minLength", row.least).set("maxLength", row.most);
    return one;
}

Json schema_of(const Parameter& row, Type type) {
    Json one;
    for (const auto& [name, text] : kSchemas)
        if (name == row.name) one = literal(text);
    if (one.is_null()) one = plain_schema(row, type);
    if (type == Type::Array) one.set("minItems", row.least).set("maxItems", row.most);
    one.set("description", std::string(row.effect));
    if (row.default_json != "null" && type != Type::Refused)
        one.set("default", literal(row.default_json));
    return one;
}

}  // namespace

Json parameters_schema(Dialect dialect) {
    Json properties(Json::Object{});
    for (const auto& row : kParameters)
        if (row.in(dialect))
            properties.set(std::string(row.name), schema_of(row, type_in(row, dialect)));
    Json schema(Json::Object{});
    schema.set("type", "object")
        .set("required", Json::Array{dialect == Dialect::Chat ? "messages" : "prompt"})
        .set("properties", std::move(properties));
    return schema;
}

Json answer_parameters_schema() {
    Json properties(Json::Object{});
    for (const auto& row : kParameters)
        if (is_answer_parameter(row.name))
            properties.set(std::string(row.name), schema_of(row, type_in(row, Dialect::Chat)));
    Json schema(Json::Object{});
    schema.set("type", Json::Array{"object", "null"})
        .set("additionalProperties", false)
        .set("properties", std::move(properties));
    return schema;
}

}  // namespace dunlin
