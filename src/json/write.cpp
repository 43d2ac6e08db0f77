#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/check.h"
#include "json/json.h"

namespace dunlin {
namespace {

void write_string(std::string_view text, std::string& out) {
    static constexpr char kHex[] = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (byte < 0x20 || byte == 0x7f) {
            out += "\\u00";
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        } else {
            out += c;
        }
    }
    out += '"';
}

}  // namespace

Json::Json() = default;
Json::Json(const Json&) = default;
Json::Json(Json&&) noexcept = default;
Json& Json::operator=(const Json&) = default;
Json& Json::operator=(Json&&) noexcept = default;
Json::~Json() = default;
Json::Json(bool value) : value_(value) {}
Json::Json(double value) : value_(value) {}
Json::Json(int64_t value) : value_(value) {}
Json::Json(uint64_t value) : value_(value) {}
Json::Json(std::string value) : value_(std::move(value)) {}
Json::Json(Array value) : value_(std::move(value)) {}
Json::Json(Object value) : value_(std::move(value)) {}
bool Json::operator==(const Json&) const = default;

double Json::number() const {
    CHECK(is_number());
    if (const auto* i = std::get_if<int64_t>(&value_)) return static_cast<double>(*i);
    if (const auto* u = std::get_if<uint64_t>(&value_)) return static_cast<double>(*u);
    return std::get<double>(value_);
}

bool Json::to_int64(int64_t& out) const {
    if (const auto* i = std::get_if<int64_t>(&value_)) {
        out = *i;
        return true;
    }
    if (const auto* u = std::get_if<uint64_t>(&value_)) {
        out = static_cast<int64_t>(*u);
        return std::in_range<int64_t>(*u);
    }
    const auto* d = std::get_if<double>(&value_);
    if (!d || *d != std::trunc(*d) || std::abs(*d) > 9007199254740992.0) return false;
    out = static_cast<int64_t>(*d);
    return true;
}

bool Json::to_uint64(uint64_t& out) const {
    if (const auto* u = std::get_if<uint64_t>(&value_)) {
        out = *u;
        return true;
    }
    int64_t i = 0;
    if (!to_int64(i) || i < 0) return false;
    out = static_cast<uint64_t>(i);
    return true;
}

const Json* Json::find(std::string_view key) const {
    if (const auto* members = object())
        for (const auto& member : *members)
            if (member.key == key) return &member.value;
    return nullptr;
}

Json& Json::set(std::string key, Json value) {
    object()->push_back({std::move(key), std::move(value)});
    return *this;
}

Expected<std::string> write_json(const Json& value) {
    std::string out;
    char digits[32];
    bool finite = true;
    // Values come from our own code or from read_json(), so their depth is bounded.
    const auto write = [&](const auto& self, const Json& one) -> void {
        if (const auto* text = one.string()) {
            write_string(*text, out);
        } else if (const auto* flag = one.boolean()) {
            out += *flag ? "true" : "false";
        } else if (one.is_null()) {
            out += "null";
        } else if (const auto* array = one.array()) {
            out += '[';
            for (size_t i = 0; i < array->size(); ++i) {
                if (i > 0) out += ',';
                self(self, (*array)[i]);
            }
            out += ']';
        } else if (const auto* members = one.object()) {
            out += '{';
            for (size_t i = 0; i < members->size(); ++i) {
                if (i > 0) out += ',';
                write_string((*members)[i].key, out);
                out += ':';
                self(self, (*members)[i].value);
            }
            out += '}';
        } else if (const auto* i = std::get_if<int64_t>(&one.value_)) {
            out += std::to_string(*i);
        } else if (const auto* u = std::get_if<uint64_t>(&one.value_)) {
            out += std::to_string(*u);
        } else {
            const double d = std::get<double>(one.value_);
            finite = finite && std::isfinite(d);
            const auto end = std::to_chars(digits, digits + sizeof digits, d).ptr;
            out.append(digits, end);
        }
    };
    write(write, value);
    if (!finite) return fail(Code::Invalid, "a number that is not finite has no JSON form");
    return out;
}

}  // namespace dunlin
