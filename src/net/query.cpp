#include "net/query.h"

#include <algorithm>

#include "net/router.h"

namespace dunlin {
namespace {

std::optional<std::string> decode_value(std::string_view text) {
    std::string plain(text);
    std::replace(plain.begin(), plain.end(), '+', ' ');
    return percent_decode(plain);
}

}  // namespace

std::optional<Query> Query::parse(std::string_view target) {
    Query out;
    const size_t mark = target.find('?');
    if (mark == target.npos) return out;
    std::string_view rest = target.substr(mark + 1);
    while (!rest.empty()) {
        const auto part = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
        if (part.empty()) continue;
        const size_t equal = std::min(part.find('='), part.size());
        auto name = decode_value(part.substr(0, equal));
        auto value = decode_value(part.substr(std::min(part.size(), equal + 1)));
        if (!name || !value) return std::nullopt;
        out.values_.emplace_back(std::move(*name), std::move(*value));
    }
    return out;
}

const std::string* Query::find(std::string_view name) const {
    for (const auto& [key, value] : values_)
        if (key == name) return &value;
    return nullptr;
}

}  // namespace dunlin
