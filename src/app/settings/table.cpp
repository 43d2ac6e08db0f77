#include <algorithm>

#include "app/settings/settings.h"

namespace dunlin {
namespace {

constexpr Rule toggle() {
    return {.kind = Rule::Kind::Toggle};
}
constexpr Rule integer(int64_t least, int64_t most) {
    return {.kind = Rule::Kind::Integer, .least = least, .most = most};
}
constexpr Rule number(int64_t least, int64_t most) {
    return {.kind = Rule::Kind::Number, .least = least, .most = most};
}
constexpr Rule zero_or(int64_t least, int64_t most) {
    return {.kind = Rule::Kind::Integer, .least = least, .most = most, .or_zero = true};
}
constexpr Rule one_of(std::span<const std::string_view> choices) {
    return {.kind = Rule::Kind::Choice, .choices = choices};
}
constexpr Rule device() {
    return {.kind = Rule::Kind::Device};
}
constexpr std::string_view kAutoWord[] = {"auto"};
constexpr std::string_view kSameWord[] = {kSame};
constexpr std::string_view kSameOrAutoWords[] = {kSame, "auto"};
constexpr Rule or_word(std::span<const std::string_view> words, Rule rule) {
    rule.words = words;
    return rule;
}
constexpr Rule text(int64_t least, int64_t most) {
    return {.kind = Rule::Kind::Text, .least = least, .most = most};
}
constexpr Rule address() {
    return {.kind = Rule::Kind::Address};
}
constexpr Rule host_names() {
    return {.kind = Rule::Kind::HostNames};
}
constexpr Rule origins() {
    return {.kind = Rule::Kind::Origins};
}
constexpr Rule sha256_digits() {
    return {.kind = Rule::Kind::Sha256};
}
constexpr Rule names() {
    return {.kind = Rule::Kind::Names};
}
constexpr Rule folder() {
    return {.kind = Rule::Kind::Folder};
}
constexpr Rule file() {
    return {.kind = Rule::Kind::File};
}

/// How the values of an enum are written, in its order.
constexpr std::span<const std::string_view> words_of(LogLevel) {
    return kLogLevels;
}
constexpr std::span<const std::string_view> words_of(Overlong) {
    return kOverlong;
}

template <class T>
SettingValue to_value(const T& field) {
    if constexpr (std::is_enum_v<T>)
        return std::string(words_of(field)[static_cast<size_t>(field)]);
    else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
        return static_cast<int64_t>(field);
    else
        return field;
}

template <class T>
void from_value(const SettingValue& value, T& field) {
    if constexpr (std::is_enum_v<T>) {
        const auto words = words_of(field);
        const auto found = std::find(words.begin(), words.end(), std::get<std::string>(value));
        field = static_cast<T>(found - words.begin());
    } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        field = static_cast<T>(std::get<int64_t>(value));
    } else if constexpr (std::is_same_v<T, SettingValue>) {
        field = value;
    } else {
        field = std::get<T>(value);
    }
}

constexpr SettingSection kSections[] = {
#define SECTION(name, text) {#name, text},
#define SETTING(section, key, field, rule, flag, text)
#define MODEL_SETTING(key, field, rule, text)
#define KEY_SETTING(key, field, rule, text)
#include "app/settings/settings.def"
#undef SECTION
#undef SETTING
#undef MODEL_SETTING
#undef KEY_SETTING
};

constexpr SettingRow<Settings> kRows[] = {
#define SECTION(name, text)
#define SETTING(section, key, field, rule, flag, text)    \
    {#section,                                            \
     #key,                                                \
     rule,                                                \
     flag,                                                \
     text,                                                \
     [](const Settings& s) { return to_value(s.field); }, \
     [](Settings& s, const SettingValue& v) { from_value(v, s.field); }},
#define MODEL_SETTING(key, field, rule, text)
#define KEY_SETTING(key, field, rule, text)
#include "app/settings/settings.def"
#undef SECTION
#undef SETTING
#undef MODEL_SETTING
#undef KEY_SETTING
};

constexpr SettingRow<ModelSettings> kModelRows[] = {
#define SECTION(name, text)
#define SETTING(section, key, field, rule, flag, text)
#define KEY_SETTING(key, field, rule, text)
#define MODEL_SETTING(key, field, rule, text)                  \
    {"model",                                                  \
     #key,                                                     \
     rule,                                                     \
     "",                                                       \
     text,                                                     \
     [](const ModelSettings& s) { return to_value(s.field); }, \
     [](ModelSettings& s, const SettingValue& v) { from_value(v, s.field); }},
#include "app/settings/settings.def"
#undef SECTION
#undef SETTING
#undef MODEL_SETTING
#undef KEY_SETTING
};

constexpr SettingRow<KeySettings> kKeyRows[] = {
#define SECTION(name, text)
#define SETTING(section, key, field, rule, flag, text)
#define MODEL_SETTING(key, field, rule, text)
#define KEY_SETTING(key, field, rule, text)                  \
    {"key",                                                  \
     #key,                                                   \
     rule,                                                   \
     "",                                                     \
     text,                                                   \
     [](const KeySettings& s) { return to_value(s.field); }, \
     [](KeySettings& s, const SettingValue& v) { from_value(v, s.field); }},
#include "app/settings/settings.def"
#undef SECTION
#undef SETTING
#undef MODEL_SETTING
#undef KEY_SETTING
};

}  // namespace

std::span<const SettingSection> setting_sections() {
    return kSections;
}
std::span<const SettingRow<Settings>> setting_rows() {
    return kRows;
}
std::span<const SettingRow<ModelSettings>> model_rows() {
    return kModelRows;
}
std::span<const SettingRow<KeySettings>> key_rows() {
    return kKeyRows;
}

}  // namespace dunlin
