#pragma once

#include <span>
#include <string_view>

namespace dunlin {

/// Where a process leaves why it ends, for one that outlives it and shares this memory with it.
/// REQUIRES: `memory` stays for the life of the process.
void keep_last_words(std::span<char> memory);

/// Called right before the process ends itself; does nothing where nobody keeps the words.
/// [any thread]
void say_last_words(std::string_view words) noexcept;

}  // namespace dunlin
