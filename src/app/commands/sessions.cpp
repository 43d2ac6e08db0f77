#include <cstdio>
#include <ctime>
#include <memory>

#include <CLI/CLI.hpp>

#include "app/command.h"
#include "app/flags.h"
#include "app/session_data.h"
#include "base/files.h"
#include "base/log.h"
#include "sessions/file_format.h"
#include "sessions/transfer.h"

namespace dunlin {
namespace {

struct SessionsOptions {
    std::string file;
    std::string owner;
    bool has_owner = false;

    std::optional<std::string_view> wanted_owner() const {
        if (has_owner) return owner;
        return std::nullopt;
    }
};

/// The store of the settings, held until the end of the program. Ends it where that cannot be.
HeldStore hold_or_exit(const Settings& settings) {
    if (settings.session_store == "memory")
        exit_with(
            {Code::Invalid, "sessions.store is \"memory\", which keeps nothing that could be read"},
            2);
    auto held = hold_store(settings);
    if (!held) exit_with(held.error());
    return std::move(*held);
}

template <class T>
T value_or_exit(Expected<T> result) {
    if (!result) exit_with(result.error());
    return std::move(*result);
}

void import_file(const CommandFlags& flags, const SessionsOptions& options) {
    const LoadedSettings loaded = load_or_exit(flags);
    const auto text = value_or_exit(read_file(options.file, kSessionsFileBytesMax));
    if (!text) exit_with({Code::NotFound, options.file + ": there is no such file"}, 2);
    const auto file = read_sessions(*text, system_clock().unix_s());
    if (!file)
        exit_with({file.error().code,
                   options.file + ": " + file.error().message + ". Nothing was imported"});
    const HeldStore held = hold_or_exit(loaded.settings);
    const Imported done = value_or_exit(
        import_sessions(*held.store, file->rows, options.wanted_owner(), loaded.settings.sessions));
    for (const std::string& id : done.there)
        std::printf("%s is there already and stays as it is\n", log_escape(id).c_str());
    std::printf("imported: sessions %u, messages %u\n", done.sessions, done.messages);
}

void export_file(const CommandFlags& flags, const SessionsOptions& options) {
    const LoadedSettings loaded = load_or_exit(flags);
    const HeldStore held = hold_or_exit(loaded.settings);
    const Rows rows = value_or_exit(read_all(*held.store, options.wanted_owner()));
    const std::string text = value_or_exit(write_sessions(rows));
    if (options.file.empty()) {
        if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
            std::fflush(stdout) != 0)
            exit_with({Code::Io, "cannot write to standard output"});
        return;
    }
    if (text.size() > kSessionsFileBytesMax)
        std::fprintf(stderr,
                     "dunlin: %s is larger than what can be imported at once; export each "
                     "owner's sessions by themselves\n",
                     options.file.c_str());
    auto written = write_aside(options.file, text);
    if (written) written = put_in_place(options.file);
    if (!written) exit_with(written.error());
    std::fprintf(stderr, "exported: sessions %zu, to %s\n", rows.size(), options.file.c_str());
}

void list(const CommandFlags& flags, const SessionsOptions& options) {
    const LoadedSettings loaded = load_or_exit(flags);
    const HeldStore held = hold_or_exit(loaded.settings);
    const auto sessions = value_or_exit(held.store->list({.owner = options.wanted_owner()}));
    for (const Session& one : sessions) {
        char day[32] = "?";
        std::tm parts{};
        const std::time_t time = one.updated_unix_s;
        if (gmtime_r(&time, &parts) != nullptr)
            static_cast<void>(std::strftime(day, sizeof day, "%Y-%m-%d %H:%M", &parts));
        const std::string owner = one.owner.empty() ? "" : "[" + log_escape(one.owner) + "]  ";
        std::printf("%s  %s  %5u messages  %10llu bytes  %s%s\n", log_escape(one.id).c_str(), day,
                    one.messages, static_cast<unsigned long long>(one.bytes), owner.c_str(),
                    log_escape(one.title).c_str());
    }
}

using Run = void (*)(const CommandFlags&, const SessionsOptions&);

CLI::App* add_part(CLI::App& command, const char* name, const char* help, Run run,
                   const std::shared_ptr<SessionsOptions>& options) {
    CLI::App* part = command.add_subcommand(name, help);
    const auto flags = std::make_shared<CommandFlags>();
    add_setting_flags(*part, flags, FlagScope::Data);
    part->add_option_function<std::string>(
            "--owner",
            [options](const std::string& owner) {
                options->owner = owner;
                options->has_owner = true;
            },
            "Only this key's sessions; at import, whose they become. Empty: of nobody")
        ->type_name("NAME");
    part->footer("");
    part->callback([run, flags, options] { run(*flags, *options); });
    return part;
}

}  // namespace

void add_sessions(CLI::App& command) {
    const auto options = std::make_shared<SessionsOptions>();
    add_part(command, "list", "Show the sessions, last used first", list, options);
    add_part(command, "export", "Write sessions as sessions.json", export_file, options)
        ->add_option("FILE", options->file, "Where to; without it standard output");
    add_part(command, "import", "Add the sessions of a sessions.json", import_file, options)
        ->add_option("FILE", options->file, "Dunlin's own form, or {id: [{role, content}, ...]}")
        ->required();
    command.require_subcommand(1);
    command.footer(
        "The server must not run meanwhile: it holds the data folder.\n"
        "Example: dunlin sessions export backup.json");
}

}  // namespace dunlin
