#include "app/flags.h"

#include <cstdio>
#include <cstdlib>

#include <CLI/CLI.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "app/command.h"
#include "app/models.h"

namespace dunlin {
namespace {

std::string placeholder(const Rule& rule) {
    std::string out;
    switch (rule.kind) {
        case Rule::Kind::Integer:
            return rule.words.empty() ? "N" : std::string(rule.words.front()) + "|N";
        case Rule::Kind::Device:
            return "DEVICE";
        case Rule::Kind::Address:
            return "ADDRESS";
        case Rule::Kind::Folder:
            return "FOLDER";
        case Rule::Kind::Choice:
            for (const auto choice : rule.choices)
                out.append(out.empty() ? "" : "|").append(choice);
            return out;
        default:
            return "TEXT";
    }
}

/// The default as a shell would need it; empty where there is nothing to show.
std::string plain(const SettingValue& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    return toml_literal(value);
}

std::vector<std::pair<std::string, std::string>> environment() {
    std::vector<std::pair<std::string, std::string>> out;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view one = *entry;
        const size_t equal = one.find('=');
        if (one.starts_with("DUNLIN_") && equal != one.npos)
            out.emplace_back(one.substr(0, equal), one.substr(equal + 1));
    }
    return out;
}

/// Where the user keeps it, if there is one. The current folder is not looked at: a program must
/// not take its orders from wherever it is started.
std::string usual_config() {
    const char* config = std::getenv("XDG_CONFIG_HOME");
    const char* home = std::getenv("HOME");
    std::string path;
    if (config != nullptr && *config != '\0')
        path = config;
    else if (home != nullptr && *home != '\0')
        path = std::string(home) + "/.config";
    else
        return {};
    path += "/dunlin/config.toml";
    struct stat status{};
    return stat(path.c_str(), &status) == 0 ? path : std::string();
}

}  // namespace

void add_setting_flags(CLI::App& command, const std::shared_ptr<CommandFlags>& flags,
                       FlagScope scope) {
    const Settings defaults;
    for (const auto& row : setting_rows()) {
        if (row.flag.empty() || (scope == FlagScope::Models && row.section != "models") ||
            (scope == FlagScope::Data && row.key != "data_dir"))
            continue;
        const std::string name(row.flag);
        CLI::Option* option = nullptr;
        if (row.rule.kind == Rule::Kind::Toggle) {
            option = command.add_flag_callback(
                name, [flags, name] { flags->settings.emplace_back(name, "true"); },
                std::string(row.text));
        } else {
            option = command.add_option_function<std::string>(
                name,
                [flags, name](const std::string& text) {
                    flags->settings.emplace_back(name, text);
                },
                std::string(row.text));
            option->type_name(placeholder(row.rule))->default_str(plain(row.get(defaults)));
        }
        option->group("Settings of [" + std::string(row.section) + "]");
    }
    add_config_flag(command, flags);
}

void add_config_flag(CLI::App& command, const std::shared_ptr<CommandFlags>& flags) {
    command
        .add_option("--config", flags->config,
                    "Settings file; without it ~/.config/dunlin/config.toml where there is one")
        ->type_name("FILE");
}

void add_model_flag(CLI::App& command, const std::shared_ptr<CommandFlags>& flags) {
    command
        .add_option("--model", flags->model,
                    "A GGUF file, or the name of a listed model; without it the default model")
        ->type_name("PATH|NAME");
}

LoadedSettings load_or_exit(const CommandFlags& flags) {
    auto loaded =
        load_settings({.config_path = flags.config.empty() ? usual_config() : flags.config,
                       .environment = environment(),
                       .flags = flags.settings});
    if (loaded) return std::move(*loaded);
    for (const std::string& line : loaded.error()) std::fprintf(stderr, "%s\n", line.c_str());
    exit_with({Code::Invalid, "the settings are wrong, see above; nothing was started"}, 2);
}

ModelEntry choose_or_exit(const CommandFlags& flags, const Settings& settings,
                          const char* argument) {
    auto entry = choose_model(settings, flags.model);
    if (!entry)
        exit_with({entry.error().code,
                   std::string(argument) + ": " + flags.model + ": " + entry.error().message},
                  2);
    return std::move(*entry);
}

}  // namespace dunlin
