#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin {

/// Percent-decodes one piece of a path; nothing for a broken escape or a NUL.
std::optional<std::string> percent_decode(std::string_view text);

/// Finds the route of a path. Patterns: "/models", "/history/{id}/rollback" where {id} is one
/// segment, "/models/{id...}" where it is the whole rest, slashes plain or as %2F.
class Router {
 public:
    struct Match {
        size_t route = 0;  // as add() numbered it
        std::vector<std::pair<std::string, std::string>> params;
        std::string_view param(std::string_view name) const;
    };
    struct Found {
        std::optional<Match> match;
        std::vector<std::string> allowed;  // methods of this path, where only the method differs
    };

    /// Routes are tried in the order they are added. Returns the route's number.
    size_t add(std::string method, std::string pattern);
    /// HEAD finds GET routes.
    Found find(std::string_view method, std::string_view path) const;
    const std::string& pattern(size_t route) const { return routes_[route].pattern; }
    const std::string& method(size_t route) const { return routes_[route].method; }
    size_t size() const { return routes_.size(); }

 private:
    struct Route {
        std::string method, pattern;
    };
    std::vector<Route> routes_;
};

}  // namespace dunlin
