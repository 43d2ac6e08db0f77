#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dunlin {

struct TomlMember;

/// A TOML value that owns what it holds, and the line on which it begins.
struct TomlValue {
    struct Date {};
    using Array = std::vector<TomlValue>;
    using Table = std::vector<TomlMember>;
    std::variant<bool, int64_t, double, std::string, Date, Array, Table> value;
    uint32_t line = 0;
};
struct TomlMember {
    std::string key;
    uint32_t line = 0;  // of the key
    TomlValue value;
};

struct TomlError {
    uint32_t line = 0;
    std::string message;
};

/// Reads a document (TOML 1.0, https://toml.io/en/v1.0.0); the root is a table. At most 1 MiB, in
/// lines of at most 1,024 bytes, values at most 8 deep.
/// Errors: the first fault of syntax, with its line.
std::expected<TomlValue, TomlError> read_toml(std::string_view text);

/// Short, for messages: `"text"`, `3.5`, `an array`.
std::string to_string(const TomlValue& value);

inline constexpr size_t kTomlBytesMax = size_t{1} << 20;

}  // namespace dunlin
