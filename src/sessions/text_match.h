#pragma once

#include <string>
#include <string_view>

namespace dunlin {

/// Looks for a text in others, whatever the case of letters. Letters are compared in lower case,
/// one code point with one, as the system's Unicode tables say (so "ß" is not found by "SS").
/// What is not UTF-8 is compared byte by byte. Thread-safe.
class TextMatch {
 public:
    explicit TextMatch(std::string_view wanted);
    /// An empty text stands in every other.
    bool in(std::string_view text) const;

 private:
    std::u32string wanted_;
};

}  // namespace dunlin
