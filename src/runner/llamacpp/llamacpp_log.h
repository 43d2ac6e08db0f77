#pragma once

#include <string>

namespace dunlin {

/// Starts the library once in the life of the process, with its log lines going to our log, one
/// level lower than it says: its Info is what our Debug is. [any thread]
void start_llamacpp();

/// The last error that the library logged since the last call, or an empty string: the only place
/// where it says why something failed. [any thread]
std::string take_llamacpp_error();

}  // namespace dunlin
