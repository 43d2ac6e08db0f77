#pragma once

#include <string>

namespace dunlin {

/// Starts the library once in the life of the process, with its log lines going to our log, one
/// level lower than it says: its Info is what our Debug is. [any thread]
void start_llamacpp();

/// The first error that the library logged since the last call, without the names of its functions,
/// or an empty string: the only place where it says why something failed. Those that follow say
/// only that it did. [any thread]
std::string take_llamacpp_error();

}  // namespace dunlin
