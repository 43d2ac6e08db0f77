#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin {

/// Finds the first stop string in a text that arrives in pieces, and holds back what may be the
/// beginning of one: at most the longest stop string less a byte.
class StopStrings {
 public:
    explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {}

    /// What may be shown now. After a match: the text before it, and matched() is set.
    std::string push(std::string_view piece);
    /// What was held back; for the end of an answer that no stop string ended.
    std::string finish() { return std::exchange(held_, {}); }
    /// The stop string that was found, or empty.
    const std::string& matched() const { return matched_; }

 private:
    std::vector<std::string> stops_;
    std::string held_, matched_;
};

}  // namespace dunlin
