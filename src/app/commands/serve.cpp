#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>

#include <CLI/CLI.hpp>

#include "api/server.h"
#include "app/command.h"
#include "app/flags.h"
#include "app/load_model.h"
#include "app/models.h"
#include "app/session_data.h"
#include "app/web_assets.h"
#include "base/log.h"
#include "base/os.h"
#include "sessions/sessions.h"

namespace dunlin {
namespace {

/// What is listed, with the chosen model as the default; first if it is not listed by itself.
RegistrySettings registry_settings(const Settings& settings, const ModelEntry& chosen) {
    RegistrySettings out;
    out.models = list_models(settings);
    out.default_model = chosen.id;
    out.aliases = settings.aliases;
    const auto listed = std::find_if(out.models.begin(), out.models.end(),
                                     [&](const auto& one) { return one.id == chosen.id; });
    if (listed == out.models.end())
        out.models.insert(out.models.begin(), chosen);
    else
        *listed = chosen;
    return out;
}

/// Deletes what has outlived its time, once a minute. Nobody finds it meanwhile.
void sweep(Sessions& sessions, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopping;
    std::unique_lock lock(mutex);
    while (!stopping.wait_for(lock, stop, std::chrono::minutes(1), [&] { return false; })) {
        if (stop.stop_requested()) return;
        const auto removed = sessions.remove_expired();
        if (!removed)
            log_error("app", "expired sessions not deleted", {{"why", removed.error().message}});
        else if (*removed > 0)
            log_info("app", "expired sessions deleted", {{"count", *removed}});
    }
}

void serve(const CommandFlags& flags) {
    const LoadedSettings loaded = load_or_exit(flags);
    const Settings& settings = loaded.settings;
    const ModelEntry chosen = choose_or_exit(flags, settings);
    if (!chosen.path.empty())
        if (const auto facts = inspect_model(chosen); !facts) exit_with(facts.error());
    set_log_level(settings.log_level);
    if (!loaded.config_path.empty())
        log_info("app", "settings read", {{"file", loaded.config_path}});

    // Held until the end, and asked for first: a second server would only find out after a load.
    auto held = hold_store(settings);
    if (!held) exit_with(held.error());

    // Signals are waited for, not handled: block them before any thread starts.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    Metrics metrics;
    const Clock& clock = system_clock();
    RegistrySettings models = registry_settings(settings, chosen);
    models.inspect = inspect_model;
    models.memory_bytes_max = physical_memory_bytes();
    models.load = [&](const ModelEntry& entry) {
        return load_engine(entry, load_settings_of(settings, entry), clock, metrics);
    };
    const auto registry = make_registry(std::move(models), clock, metrics);
    const auto sessions = Sessions::open(std::move(held->store), settings.sessions, clock);
    if (!sessions) exit_with(sessions.error());
    const std::jthread sweeper([&](const std::stop_token& stop) { sweep(**sessions, stop); });
    ApiSettings api = settings.api;
    api.assets = web_assets();
    auto server = Server::start(std::move(api), *registry, **sessions, metrics, clock);
    if (!server) exit_with(server.error());
    const std::string& host = settings.api.host;
    const bool v6 = host.find(':') != host.npos;
    std::printf("Dunlin listens on http://%s%s%s:%u\n", v6 ? "[" : "", host.c_str(), v6 ? "]" : "",
                (*server)->port());
    std::fflush(stdout);

    int received = 0;
    sigwait(&signals, &received);
    log_info("app", "draining; a second signal ends it now", {{"signal", received}});
    std::thread([signals] {
        int again = 0;
        sigwait(&signals, &again);
        std::_Exit(1);
    }).detach();
    const int64_t drain_us = int64_t{settings.drain_s} * 1'000'000;
    std::jthread engines([&] { registry->drain(clock.now_us() + drain_us); });
    (*server)->stop(drain_us);
}

}  // namespace

void add_serve(CLI::App& command) {
    const auto flags = std::make_shared<CommandFlags>();
    add_model_flag(command, flags);
    add_setting_flags(command, flags, FlagScope::All);
    command.footer(
        "The other settings stand in a file or the environment; dunlin check-config --example\n"
        "prints them all.\n"
        "Example: dunlin serve --model models/my-model.gguf --port 4000");
    command.callback([flags] { serve(*flags); });
}

}  // namespace dunlin
