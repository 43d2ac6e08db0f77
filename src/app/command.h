#pragma once

#include <string>

#include "base/error.h"

namespace CLI {
class App;
}

namespace dunlin {

#define COMMAND(name, help) void add_##name(CLI::App& command);
#include "app/commands.def"
#undef COMMAND

/// Ends the program with one clear line on stderr. For commands only. Exit codes: 1 a failure,
/// 2 wrong use.
[[noreturn]] void exit_with(const Error& error, int exit_code = 1);

/// What stands on standard input, without the line break at its end. Ends the program where it is
/// larger than 16 MiB.
std::string read_stdin();

}  // namespace dunlin
