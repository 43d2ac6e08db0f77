#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

#include "app/command.h"
#include "app/flags.h"

namespace dunlin {
namespace {

struct CheckOptions {
    bool show = false, example = false, document = false;
};

void check_config(const CommandFlags& flags, const CheckOptions& options) {
    if (options.example || options.document) {
        std::fputs((options.example ? example_toml() : configuration_document()).c_str(), stdout);
        return;
    }
    const LoadedSettings loaded = load_or_exit(flags);
    if (options.show) {
        std::fputs(show_settings(loaded).c_str(), stdout);
        return;
    }
    std::printf("The settings are right (%s).\n",
                loaded.config_path.empty() ? "no configuration file" : loaded.config_path.c_str());
}

}  // namespace

void add_check_config(CLI::App& command) {
    const auto flags = std::make_shared<CommandFlags>();
    const auto options = std::make_shared<CheckOptions>();
    command.add_flag("--show", options->show,
                     "Print every setting in effect and where it comes from");
    command.add_flag("--example", options->example,
                     "Print every setting with its default and meaning: config.example.toml");
    command.add_flag("--document", options->document,
                     "Print docs/CONFIGURATION.md, which is made from the same table");
    add_setting_flags(command, flags, FlagScope::All);
    command.footer(
        "Exit code 0: all is right; 2: what is wrong is on stderr, one line each.\n"
        "Example: dunlin check-config --config config.toml --show");
    command.callback([flags, options] { check_config(*flags, *options); });
}

}  // namespace dunlin
