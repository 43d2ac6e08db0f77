#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace dunlin {

/// A JSON value (RFC 8259) that owns what it holds. Objects keep their members in order.
class Json {
 public:
    struct Member;
    using Array = std::vector<Json>;
    using Object = std::vector<Member>;

    Json();
    Json(const Json&);
    Json(Json&&) noexcept;
    Json& operator=(const Json&);
    Json& operator=(Json&&) noexcept;
    ~Json();
    // Implicit, so that a tree can be written down as the document it is.
    // NOLINTBEGIN(google-explicit-constructor)
    Json(std::nullptr_t) : Json() {}
    Json(bool value);
    Json(double value);
    Json(int64_t value);
    Json(uint64_t value);
    template <std::integral T>
    Json(T value) : Json(Widest<T>{value}) {}
    Json(std::string value);
    Json(std::string_view value) : Json(std::string(value)) {}
    Json(const char* value) : Json(std::string(value)) {}
    Json(Array value);
    Json(Object value);
    // NOLINTEND(google-explicit-constructor)

    bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
    const bool* boolean() const { return std::get_if<bool>(&value_); }
    const std::string* string() const { return std::get_if<std::string>(&value_); }
    const Array* array() const { return std::get_if<Array>(&value_); }
    const Object* object() const { return std::get_if<Object>(&value_); }
    Array* array() { return std::get_if<Array>(&value_); }
    Object* object() { return std::get_if<Object>(&value_); }
    bool is_integer() const { return value_.index() == 2 || value_.index() == 3; }
    bool is_number() const { return is_integer() || value_.index() == 4; }
    /// The number, rounded where it is an integer above 2^53. REQUIRES: is_number().
    double number() const;
    /// Whether it is an integer that fits `out`, 5.0 included; if so, `out` is set.
    bool to_int64(int64_t& out) const;
    bool to_uint64(uint64_t& out) const;

    /// The member of an object by its name; nullptr where there is none or this is no object.
    const Json* find(std::string_view key) const;
    /// Appends to an object; the caller gives each key once. REQUIRES: object().
    Json& set(std::string key, Json value);

    bool operator==(const Json&) const;

 private:
    template <class T>
    using Widest = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
    friend Expected<std::string> write_json(const Json& value);
    std::variant<std::nullptr_t, bool, int64_t, uint64_t, double, std::string, Array, Object>
        value_;
};

struct Json::Member {
    std::string key;
    Json value;
    bool operator==(const Member&) const = default;
};

/// The text, or null where it is empty.
inline Json or_null(std::string_view text) {
    return text.empty() ? Json() : Json(text);
}

struct JsonLimits {
    size_t bytes_max = size_t{16} << 20;
    size_t depth_max = 64;
    size_t values_max = 1'000'000;  // a value costs far more memory than its text
};

/// Reads one document. Refused: trailing text, depth and size above the limits, duplicate keys,
/// numbers that are not finite as a double, lone surrogates, invalid UTF-8.
/// Errors: Invalid with line and column, TooLarge.
Expected<Json> read_json(std::string_view text, const JsonLimits& limits = {});

/// Compact text; doubles in the shortest form that reads back equal. Strings must be UTF-8.
/// Errors: Invalid for a number that is not finite.
Expected<std::string> write_json(const Json& value);

}  // namespace dunlin
