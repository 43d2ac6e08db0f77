#include "net/router.h"

#include <algorithm>

namespace dunlin {
namespace {

int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string_view take_segment(std::string_view& path) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    const auto segment = path.substr(0, end);
    path.remove_prefix(end);
    return segment;
}

bool match_path(std::string_view pattern, std::string_view path, Router::Match& match) {
    while (pattern.starts_with('/') && path.starts_with('/')) {
        const auto rest = path.substr(1);
        const auto want = take_segment(pattern);
        const auto got = take_segment(path);
        if (!want.starts_with('{')) {
            if (want != got) return false;
            continue;
        }
        const bool tail = want.ends_with("...}");
        auto value = percent_decode(tail ? rest : got);
        if (!value || value->empty()) return false;
        match.params.emplace_back(want.substr(1, want.size() - (tail ? 5 : 2)), std::move(*value));
        if (tail) return true;
    }
    return pattern.empty() && path.empty();
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int byte = hex(text[i + 1]) * 16 + hex(text[i + 2]);
        if (hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0 || byte == 0) return std::nullopt;
        out += static_cast<char>(byte);
        i += 2;
    }
    return out;
}

std::string_view Router::Match::param(std::string_view name) const {
    for (const auto& [key, value] : params)
        if (key == name) return value;
    return {};
}

size_t Router::add(std::string method, std::string pattern) {
    routes_.push_back({std::move(method), std::move(pattern)});
    return routes_.size() - 1;
}

Router::Found Router::find(std::string_view method, std::string_view path) const {
    Found found;
    for (size_t i = 0; i < routes_.size(); ++i) {
        Match match{i, {}};
        if (!match_path(routes_[i].pattern, path, match)) continue;
        if (routes_[i].method == method || (method == "HEAD" && routes_[i].method == "GET")) {
            found.match = std::move(match);
            return found;
        }
        found.allowed.push_back(routes_[i].method);
    }
    return found;
}

}  // namespace dunlin
