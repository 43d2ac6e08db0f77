// Boost.JSON does the syntax: its parser keeps its stack on the heap and checks UTF-8. This handler
// builds our own value and adds what the parser lacks: finite and exactly rounded numbers, unique
// keys, and a limit on the number of values.
#include <algorithm>
#include <charconv>
#include <cmath>

#include <boost/json/basic_parser_impl.hpp>

#include "base/check.h"
#include "json/json.h"

namespace dunlin {
namespace {

namespace bj = boost::json;

struct Handler {
    // NOLINTBEGIN(readability-identifier-naming): Boost.JSON asks for these names.
    static constexpr size_t max_object_size = size_t(-1);
    static constexpr size_t max_array_size = size_t(-1);
    static constexpr size_t max_key_size = size_t(-1);
    static constexpr size_t max_string_size = size_t(-1);
    // NOLINTEND(readability-identifier-naming)

    size_t values_left = 0;
    std::string refusal;  // set when this handler, not the parser, stopped
    std::vector<Json> open;
    std::vector<std::string> keys;
    std::string text, number;
    Json result;

    explicit Handler(size_t values_max) : values_left(values_max) {}

    bool refuse(std::string why, bj::error_code& ec) {
        refusal = std::move(why);
        ec = bj::error::exception;
        return false;
    }
    bool take(Json value, bj::error_code& ec) {
        if (values_left == 0) return refuse("too many values", ec);
        --values_left;
        if (open.empty()) {
            result = std::move(value);
        } else if (auto* array = open.back().array()) {
            array->push_back(std::move(value));
        } else {
            open.back().set(std::move(keys.back()), std::move(value));
            keys.pop_back();
        }
        return true;
    }
    bool close(bj::error_code& ec) {
        Json value = std::move(open.back());
        open.pop_back();
        return take(std::move(value), ec);
    }

    bool on_document_begin(bj::error_code&) { return true; }
    bool on_document_end(bj::error_code&) { return true; }
    bool on_object_begin(bj::error_code&) {
        open.emplace_back(Json::Object{});
        return true;
    }
    bool on_object_end(size_t, bj::error_code& ec) {
        std::vector<std::string_view> names;
        for (const auto& member : *open.back().object()) names.push_back(member.key);
        std::sort(names.begin(), names.end());
        if (std::adjacent_find(names.begin(), names.end()) != names.end())
            return refuse("an object has the same key twice", ec);
        return close(ec);
    }
    bool on_array_begin(bj::error_code&) {
        open.emplace_back(Json::Array{});
        return true;
    }
    bool on_array_end(size_t, bj::error_code& ec) { return close(ec); }
    bool on_key_part(bj::string_view s, size_t, bj::error_code&) { return append(s); }
    bool on_key(bj::string_view s, size_t, bj::error_code&) {
        append(s);
        keys.push_back(std::exchange(text, {}));
        return true;
    }
    bool on_string_part(bj::string_view s, size_t, bj::error_code&) { return append(s); }
    bool on_string(bj::string_view s, size_t, bj::error_code& ec) {
        append(s);
        return take(std::exchange(text, {}), ec);
    }
    bool append(bj::string_view s) {
        text.append(s.data(), s.size());
        return true;
    }
    bool on_number_part(bj::string_view s, bj::error_code&) {
        number.append(s.data(), s.size());
        return true;
    }
    bool on_int64(int64_t value, bj::string_view, bj::error_code& ec) {
        number.clear();
        return take(value, ec);
    }
    bool on_uint64(uint64_t value, bj::string_view, bj::error_code& ec) {
        number.clear();
        return take(value, ec);
    }
    bool on_double(double, bj::string_view s, bj::error_code& ec) {
        number.append(s.data(), s.size());
        double value = 0;
        const auto end = number.data() + number.size();
        const auto [at, error] = std::from_chars(number.data(), end, value);
        // from_chars also reports numbers too small for a double; those are zero.
        if (error == std::errc::result_out_of_range && number.find("e-") == std::string::npos &&
            number.find("E-") == std::string::npos)
            return refuse("a number is too large for a double", ec);
        if (error != std::errc{} && error != std::errc::result_out_of_range)
            return refuse("a number cannot be read", ec);
        number.clear();
        return take(value, ec);
    }
    bool on_bool(bool value, bj::error_code& ec) { return take(value, ec); }
    bool on_null(bj::error_code& ec) { return take(nullptr, ec); }
    bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
    bool on_comment(bj::string_view, bj::error_code&) { return true; }
};

std::string place(std::string_view text, size_t offset) {
    const auto before = text.substr(0, std::min(offset, text.size()));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const auto newline = before.rfind('\n');
    const auto column = before.size() - (newline == before.npos ? 0 : newline + 1) + 1;
    return " at line " + std::to_string(line) + ", column " + std::to_string(column);
}

}  // namespace

Expected<Json> read_json(std::string_view text, const JsonLimits& limits) {
    if (text.size() > limits.bytes_max)
        return fail(Code::TooLarge, "JSON of " + std::to_string(text.size()) +
                                        " bytes; the limit is " + std::to_string(limits.bytes_max));
    bj::parse_options options;
    options.max_depth = limits.depth_max;
    bj::basic_parser<Handler> parser(options, limits.values_max);
    bj::error_code ec;
    const size_t read = parser.write_some(false, text.data(), text.size(), ec);
    if (!ec && read < text.size()) ec = bj::error::extra_data;
    if (ec) {
        const auto& refusal = parser.handler().refusal;
        return fail(Code::Invalid, "invalid JSON" + place(text, read) + ": " +
                                       (refusal.empty() ? ec.message() : refusal));
    }
    return std::move(parser.handler().result);
}

}  // namespace dunlin
