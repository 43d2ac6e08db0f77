#include "app/settings/toml.h"

#include <cstdio>

// toml++ recurses once for each array, inline table and part of a dotted key, in its parser and its
// destructors: values nest at most 8 deep, and a line's length bounds its dots.
#define TOML_EXCEPTIONS 0
#define TOML_MAX_NESTED_VALUES 8
#include <toml++/toml.h>

#include "base/log.h"

namespace dunlin {
namespace {

constexpr size_t kLineBytesMax = 1024;
constexpr size_t kShownBytesMax = 60;

TomlValue convert(const toml::node& node) {
    TomlValue out;
    out.line = static_cast<uint32_t>(node.source().begin.line);
    if (const auto* table = node.as_table()) {
        TomlValue::Table members;
        for (const auto& [key, value] : *table)
            members.push_back({std::string(key.str()),
                               static_cast<uint32_t>(key.source().begin.line), convert(value)});
        out.value = std::move(members);
    } else if (const auto* array = node.as_array()) {
        TomlValue::Array items;
        for (const auto& item : *array) items.push_back(convert(item));
        out.value = std::move(items);
    } else if (const auto* text = node.as_string()) {
        out.value = text->get();
    } else if (const auto* integer = node.as_integer()) {
        out.value = integer->get();
    } else if (const auto* number = node.as_floating_point()) {
        out.value = number->get();
    } else if (const auto* flag = node.as_boolean()) {
        out.value = flag->get();
    } else {
        out.value = TomlValue::Date{};
    }
    return out;
}

struct Show {
    std::string operator()(bool on) const { return on ? "true" : "false"; }
    std::string operator()(int64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const {
        char digits[32];
        std::snprintf(digits, sizeof digits, "%g", number);
        return digits;
    }
    std::string operator()(const std::string& text) const {
        size_t end = std::min(text.size(), kShownBytesMax);
        while (end < text.size() && end > 0 && (text[end] & 0xC0) == 0x80) --end;
        return "\"" + log_escape(text.substr(0, end)) + (end < text.size() ? "...\"" : "\"");
    }
    std::string operator()(const TomlValue::Date&) const { return "a date or time"; }
    std::string operator()(const TomlValue::Array&) const { return "an array"; }
    std::string operator()(const TomlValue::Table&) const { return "a table"; }
};

}  // namespace

std::expected<TomlValue, TomlError> read_toml(std::string_view text) {
    if (text.size() > kTomlBytesMax)
        return std::unexpected(
            TomlError{1, "the file is larger than " + std::to_string(kTomlBytesMax) + " bytes"});
    uint32_t line = 1;
    for (std::string_view rest = text; !rest.empty(); ++line) {
        const auto one = rest.substr(0, rest.find('\n'));
        if (one.size() > kLineBytesMax)
            return std::unexpected(TomlError{
                line, "the line is longer than " + std::to_string(kLineBytesMax) + " bytes"});
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    }
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed)
        return std::unexpected(TomlError{static_cast<uint32_t>(parsed.error().source().begin.line),
                                         log_escape(parsed.error().description())});
    return convert(parsed.table());
}

std::string to_string(const TomlValue& value) {
    return std::visit(Show{}, value.value);
}

}  // namespace dunlin
