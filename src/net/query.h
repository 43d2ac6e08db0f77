#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin {

/// The query of a request's target: "?limit=5&query=a+b".
class Query {
 public:
    /// Percent-decoded, + as a space. Nothing for a broken escape or a NUL.
    static std::optional<Query> parse(std::string_view target);
    /// The first value of that name; nullptr where there is none.
    const std::string* find(std::string_view name) const;

 private:
    std::vector<std::pair<std::string, std::string>> values_;
};

}  // namespace dunlin
