#include "net/http.h"

#include <algorithm>

namespace dunlin {

std::string_view HttpRequest::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (key == name) return value;
    return {};
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string_view trimmed(std::string_view value) {
    const auto begin = value.find_first_not_of(" \t");
    if (begin == value.npos) return {};
    return value.substr(begin, value.find_last_not_of(" \t") - begin + 1);
}

std::vector<std::string_view> list_items(std::string_view value) {
    std::vector<std::string_view> out;
    while (!value.empty()) {
        const auto item = value.substr(0, value.find(','));
        value.remove_prefix(std::min(value.size(), item.size() + 1));
        if (const auto text = trimmed(item); !text.empty()) out.push_back(text);
    }
    return out;
}

std::optional<HttpResponse> BodySource::instead() {
    return std::nullopt;
}

}  // namespace dunlin
