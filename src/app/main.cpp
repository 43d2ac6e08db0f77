#include <algorithm>
#include <cstdio>

#include <CLI/CLI.hpp>

#include "app/command.h"
#include "app/help.h"
#include "app/hosted_runner.h"
#include "app/hosted_service.h"
#include "app/settings/settings.h"
#include "kernels/isa.h"

namespace dunlin {

namespace {

std::string version() {
    std::string out = "dunlin " DUNLIN_VERSION "\ncompiler: ";
#if defined(__clang__)
    out += "clang " __clang_version__;
#else
    out += "gcc " __VERSION__;
#endif
    while (out.back() == ' ') out.pop_back();
    out += "\ninstruction sets:";
    for (const Isa isa : available_isas()) out += " " + std::string(to_string(isa));
    return out + "\nin use: " + std::string(to_string(chosen_isa()));
}

std::string command_name(std::string function) {
    std::replace(function.begin(), function.end(), '_', '-');
    return function;
}

/// The arguments that CLI11 did not expect, as a person would say it.
std::string unexpected(const CLI::App& app, const CLI::App* command) {
    const std::vector<std::string> rest = app.remaining(true);
    const std::string given = rest.empty() ? "" : rest.front().substr(0, rest.front().find('='));
    std::vector<std::string> known;
    const bool option = given.starts_with('-');
    if (option)
        for (const CLI::Option* one : (command == nullptr ? &app : command)->get_options())
            for (const std::string& name : one->get_lnames()) known.push_back("--" + name);
    else
        for (const CLI::App* one : (command == nullptr ? &app : command)->get_subcommands(nullptr))
            known.push_back(one->get_name());
    const auto meant = nearest(given, known);
    return (option          ? "there is no option "
            : known.empty() ? "did not expect "
                            : "there is no command ") +
           given + (meant.empty() ? "" : "; did you mean " + std::string(meant) + "?");
}

int explain(const CLI::App& app, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help and version
    const CLI::App* command = nullptr;                       // the innermost that was recognized
    std::string path;
    for (auto inner = app.get_subcommands(); !inner.empty(); inner = command->get_subcommands()) {
        command = inner.front();
        path += command->get_name() + " ";
    }
    const auto below = (command == nullptr ? &app : command)->get_subcommands(nullptr);
    std::string what = error.what();
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
        what = unexpected(app, command);
    } else if (!below.empty()) {
        what = "give a command:";
        for (const CLI::App* one : below) what += " " + one->get_name();
        if (!app.remaining(true).empty()) what = unexpected(app, command);
    }
    std::fprintf(stderr, "dunlin: %s (see dunlin %s--help)\n", what.c_str(), path.c_str());
    return 2;
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
    if (argc == 2 && argv[1] == dunlin::kHostRunner) return dunlin::host_runner_of_parent();
    if (argc == 2 && argv[1] == dunlin::kHostService) return dunlin::host_service_of_parent();
    CLI::App app{"Dunlin runs language models on your own machine and serves them.", "dunlin"};
    dunlin::style_help(app);
    app.set_version_flag("--version", dunlin::version, "Version, compiler, instruction sets");
    app.set_help_flag("-h,--help", "This help; dunlin COMMAND --help tells about a command");
    app.require_subcommand(1);
    app.footer("Example: dunlin generate --chat --prompt \"What is gravity?\"");
#define COMMAND(name, help) \
    dunlin::add_##name(*app.add_subcommand(dunlin::command_name(#name), help)->group("Commands"));
#include "app/commands.def"
#undef COMMAND
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return dunlin::explain(app, error);
    }
    return 0;
}
