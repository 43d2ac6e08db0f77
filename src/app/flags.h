#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/settings/settings.h"
#include "registry/local_registry.h"

namespace CLI {
class App;
}

namespace dunlin {

/// What the command line of one command says about settings.
struct CommandFlags {
    std::string config, model;
    /// "--port" and its text as typed; the table parses it, as it does a variable of the
    /// environment.
    std::vector<std::pair<std::string, std::string>> settings;
};

enum class FlagScope : uint8_t {
    All,     // every setting that has a flag
    Models,  // those that say how a model is run: section [models]
    Data,    // the folder that sessions are kept in
};

/// Adds --config and the flags of settings.def to a command.
void add_setting_flags(CLI::App& command, const std::shared_ptr<CommandFlags>& flags,
                       FlagScope scope);

/// Adds --config, or --model, alone.
void add_config_flag(CLI::App& command, const std::shared_ptr<CommandFlags>& flags);
void add_model_flag(CLI::App& command, const std::shared_ptr<CommandFlags>& flags);

/// The settings in effect: flags, environment, file, defaults. With wrong ones it prints every
/// problem and ends the program with exit code 2.
LoadedSettings load_or_exit(const CommandFlags& flags);

/// What --model names, or the default model. Ends the program with exit code 2 where it is neither
/// a file nor listed; the message begins with the name of the argument.
ModelEntry choose_or_exit(const CommandFlags& flags, const Settings& settings,
                          const char* argument = "--model");

}  // namespace dunlin
