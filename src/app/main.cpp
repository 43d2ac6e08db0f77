#include <cstdio>
#include <cstdlib>

#include <CLI/CLI.hpp>

#include "app/command.h"

namespace dunlin {

void exit_with(const Error& error, int exit_code) {
    std::fprintf(stderr, "dunlin: %s\n", error.message.c_str());
    std::exit(exit_code);
}

}  // namespace dunlin

int main(int argc, char** argv) {
    CLI::App app{"Dunlin runs language models on your own machine and serves them."};
    app.set_version_flag("--version", "dunlin " DUNLIN_VERSION);
    app.require_subcommand(1);
#define COMMAND(name, help) dunlin::add_##name(*app.add_subcommand(#name, help));
#include "app/commands.def"
#undef COMMAND
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    return 0;
}
