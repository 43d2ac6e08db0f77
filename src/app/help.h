#pragma once

namespace CLI {
class App;
}

namespace dunlin {

/// Gives the program's help its look: options in two columns, defaults told, lines of at most 100.
/// Commands added later inherit it.
void style_help(CLI::App& program);

}  // namespace dunlin
