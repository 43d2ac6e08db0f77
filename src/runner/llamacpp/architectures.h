#pragma once

#include <string>
#include <vector>

#include "formats/gguf.h"

namespace dunlin {

/// What general.architecture may say for this build's llama.cpp, in alphabetical order; empty
/// without llama.cpp. [any thread]
std::vector<std::string> llamacpp_architectures();

/// Why llama.cpp cannot compute this file, as far as its header tells; empty where it does not say,
/// and without llama.cpp. Part of a sentence, with what to do. [any thread]
std::string llamacpp_obstacle(const GgufFile& file);

/// What we cannot run although the library loads it; also part of a sentence.
inline constexpr const char* kOnlyWriters =
    "take a model that writes text token by token, as those for chat do";

}  // namespace dunlin
