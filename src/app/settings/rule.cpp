#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>

#include <arpa/inet.h>

#include "access/digest.h"
#include "app/settings/settings.h"

namespace dunlin {
namespace {

constexpr size_t kListMax = 1000;

bool is_address(const std::string& host) {
    unsigned char bytes[16];
    return host == "localhost" || inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
           inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

/// As it stands in a Host header, without the port.
bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > 253) return false;
    if (name.front() == '[') return name.size() > 2 && name.back() == ']';
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_';
    });
}

/// As a browser writes it: what differs in one character never matches.
bool is_origin(std::string_view text) {
    const auto colon = text.find("://");
    if (colon == text.npos || colon == 0) return false;
    const auto scheme = text.substr(0, colon);
    auto host = text.substr(colon + 3);
    const auto lower = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    };
    if (!std::all_of(scheme.begin(), scheme.end(), lower)) return false;
    if (const auto port = host.rfind(':'); port != host.npos && !host.ends_with(']')) {
        const auto digits = host.substr(port + 1);
        const bool usual =
            (scheme == "http" && digits == "80") || (scheme == "https" && digits == "443");
        if (usual || digits.empty() || digits.size() > 5 || digits.front() == '0' ||
            digits.find_first_not_of("0123456789") != digits.npos)
            return false;
        host = host.substr(0, port);
    }
    if (host.starts_with('[')) {
        unsigned char bytes[16];
        return host.ends_with(']') &&
               inet_pton(AF_INET6, std::string(host.substr(1, host.size() - 2)).c_str(), bytes) ==
                   1;
    }
    return is_host_name(host) && std::all_of(host.begin(), host.end(), lower);
}

bool is_name(const std::string& name) {
    return !name.empty() && name.size() <= 256;
}

/// "auto", "cpu", a kind, or one of that kind: "cuda1".
bool is_device(std::string_view text) {
    if (text == "auto" || text == "cpu") return true;
    const auto digits = text.find_first_of("0123456789");
    const auto kind = text.substr(0, digits);
    const auto number = digits == text.npos ? "" : text.substr(digits);
    return std::find(std::begin(kDeviceKinds), std::end(kDeviceKinds), kind) !=
               std::end(kDeviceKinds) &&
           number.size() <= 3 && number.find_first_not_of("0123456789") == number.npos;
}

std::optional<SettingValue> parse_names(std::string_view text) {
    std::map<std::string, std::string, std::less<>> out;
    while (!text.empty()) {
        const auto item = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), item.size() + 1));
        const size_t equal = item.find('=');
        if (equal == item.npos) return std::nullopt;
        out.emplace(item.substr(0, equal), item.substr(equal + 1));
    }
    return out;
}

std::vector<std::string> parse_list(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const auto item = text.substr(0, text.find(','));
        out.emplace_back(item);
        text.remove_prefix(std::min(text.size(), item.size() + 1));
    }
    return out;
}

std::string in_quotes(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04X", byte);
            out += escaped;
        } else {
            out += c;
        }
    }
    return out + "\"";
}

struct Literal {
    std::string operator()(bool on) const { return on ? "true" : "false"; }
    std::string operator()(int64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const {
        char digits[32];
        std::string out(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
        return out.find_first_of(".en") == out.npos ? out + ".0" : out;
    }
    std::string operator()(const std::string& text) const { return in_quotes(text); }
    std::string operator()(const std::vector<std::string>& list) const {
        std::string out = "[";
        for (const auto& item : list) out += (out.size() > 1 ? ", " : "") + in_quotes(item);
        return out + "]";
    }
    std::string operator()(const std::map<std::string, std::string, std::less<>>& map) const {
        if (map.empty()) return "{}";
        std::string out = "{ ";
        for (const auto& [key, value] : map)
            out += (out.size() > 2 ? ", " : "") + in_quotes(key) + " = " + in_quotes(value);
        return out + " }";
    }
};

}  // namespace

std::string toml_literal(const SettingValue& value) {
    return std::visit(Literal{}, value);
}

bool Rule::allows(const SettingValue& value) const {
    if (const auto* word = std::get_if<std::string>(&value))
        if (std::find(words.begin(), words.end(), *word) != words.end()) return true;
    if (kind == Kind::Toggle) return std::holds_alternative<bool>(value);
    if (kind == Kind::Integer) {
        const auto* number = std::get_if<int64_t>(&value);
        return number != nullptr &&
               ((*number >= least && *number <= most) || (or_zero && *number == 0));
    }
    if (kind == Kind::Number) {
        const auto* number = std::get_if<double>(&value);  // NaN compares as outside
        return number != nullptr && *number >= static_cast<double>(least) &&
               *number <= static_cast<double>(most);
    }
    if (kind == Kind::HostNames || kind == Kind::Origins) {
        const auto* list = std::get_if<std::vector<std::string>>(&value);
        return list != nullptr && list->size() <= kListMax &&
               std::all_of(list->begin(), list->end(),
                           kind == Kind::Origins ? is_origin : is_host_name);
    }
    if (kind == Kind::Names) {
        const auto* map = std::get_if<std::map<std::string, std::string, std::less<>>>(&value);
        return map != nullptr && map->size() <= kListMax &&
               std::all_of(map->begin(), map->end(), [](const auto& one) {
                   return is_name(one.first) && is_name(one.second);
               });
    }
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || text->find('\0') != text->npos) return false;
    switch (kind) {
        case Kind::Choice:
            return std::find(choices.begin(), choices.end(), *text) != choices.end();
        case Kind::Device:
            return is_device(*text);
        case Kind::Address:
            return is_address(*text);
        case Kind::File:
            return !text->empty();
        case Kind::Sha256:
            return from_hex(*text).has_value();
        case Kind::Text:
            return std::cmp_greater_equal(text->size(), least) &&
                   std::cmp_less_equal(text->size(), most);
        default:
            return true;
    }
}

std::string Rule::describe() const {
    if (!words.empty()) {
        Rule other = *this;
        other.words = {};
        std::string out;
        for (const auto word : words) out += in_quotes(word) + ", ";
        return out + "or " + other.describe();
    }
    switch (kind) {
        case Kind::Toggle:
            return "true or false";
        case Kind::Integer:
            return std::string(or_zero ? "0, or " : "") + "a whole number from " +
                   std::to_string(least) + " to " + std::to_string(most);
        case Kind::Number:
            return "a number from " + std::to_string(least) + " to " + std::to_string(most);
        case Kind::Choice: {
            std::string out = "one of";
            for (const auto choice : choices)
                out += (choice == choices.front() ? " " : ", ") + in_quotes(choice);
            return out;
        }
        case Kind::Device: {
            std::string out = "one of \"auto\", \"cpu\"";
            for (const auto known : kDeviceKinds) out += ", " + in_quotes(known);
            return out + ", or a device as dunlin doctor names it, such as \"cuda0\"";
        }
        case Kind::Text:
            return "a text of " + std::to_string(least) + " to " + std::to_string(most) + " bytes";
        case Kind::Address:
            return "an IP address or \"localhost\"";
        case Kind::HostNames:
            return "a list of host names without ports";
        case Kind::Origins:
            return "a list of origins as browsers write them (https://app.example, "
                   "http://localhost:5173: lower case, no path, no usual port)";
        case Kind::Sha256:
            return "64 hexadecimal digits, as dunlin keys new and dunlin keys hash print them";
        case Kind::Names:
            return "a table of names, { \"alias\" = \"model\" }";
        case Kind::Folder:
            return "the path of a folder";
        case Kind::File:
            return "the path of a file";
    }
    return {};
}

std::optional<SettingValue> Rule::parse(std::string_view text) const {
    if (std::find(words.begin(), words.end(), text) != words.end()) return std::string(text);
    switch (kind) {
        case Kind::Toggle:
            if (text == "true") return true;
            if (text == "false") return false;
            return std::nullopt;
        case Kind::Integer: {
            int64_t number = 0;
            const char* const end = std::to_address(text.end());
            const auto [at, error] = std::from_chars(std::to_address(text.begin()), end, number);
            if (error != std::errc() || at != end) return std::nullopt;
            return number;
        }
        case Kind::Number: {
            double number = 0;
            const char* const end = std::to_address(text.end());
            const auto [at, error] = std::from_chars(std::to_address(text.begin()), end, number);
            if (error != std::errc() || at != end) return std::nullopt;
            return number;
        }
        case Kind::HostNames:
        case Kind::Origins:
            return parse_list(text);
        case Kind::Names:
            return parse_names(text);
        default:
            return std::string(text);
    }
}

std::string_view nearest(std::string_view given, std::span<const std::string> names) {
    std::string_view best;
    size_t best_distance = std::max<size_t>(2, given.size() / 4) + 1;
    if (given.size() > 100) return best;
    std::vector<size_t> row;
    for (const std::string& name : names) {
        // Levenshtein distance, one row at a time.
        row.resize(name.size() + 1);
        for (size_t i = 0; i < row.size(); ++i) row[i] = i;
        for (size_t g = 0; g < given.size(); ++g) {
            size_t diagonal = row[0]++;
            for (size_t n = 0; n < name.size(); ++n) {
                const size_t replaced = diagonal + (given[g] == name[n] ? 0 : 1);
                diagonal = row[n + 1];
                row[n + 1] = std::min({replaced, row[n] + 1, row[n + 1] + 1});
            }
        }
        if (row.back() < best_distance) best = name, best_distance = row.back();
    }
    return best;
}

}  // namespace dunlin
