#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>

#include "access/key_ring.h"
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

constexpr int64_t kLastWordsUs = 1'000'000;  // for telling clients that the time to drain is over

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

/// What a file's header says, and whether this machine can hold it. Devices are looked for only
/// where main memory cannot, and once (`stock`): asking for them takes time.
Expected<ModelFacts> inspect_here(const Settings& settings, const ModelEntry& entry,
                                  std::optional<EngineStock>& stock) {
    auto facts = inspect_model(entry);
    const uint64_t memory_bytes = usable_memory_bytes();
    if (!facts || memory_bytes == 0 || facts->file_bytes <= memory_bytes) return facts;
    if (!stock) stock = engine_stock({});
    if (const auto plan = plan_model(entry, load_settings_of(settings, entry).wish, *stock);
        !plan && plan.error().code == Code::OutOfMemory)
        facts->too_large = plan.error().message;
    return facts;
}

/// Ends the program where the file is broken or cannot be computed as the settings say, rather than
/// answer each request with it.
void check_model(const Settings& settings, const ModelEntry& entry) {
    if (const auto facts = inspect_model(entry); !facts) exit_with(facts.error());
    // Devices matter here only where one is named: asking for them takes time.
    const EngineWish wish = load_settings_of(settings, entry).wish;
    EngineStock stock = engine_stock(wish.device == "auto" ? EngineWish{.device = "cpu"} : wish);
    stock.memory_bytes = 0;  // what is too large is listed with the reason
    if (const auto plan = plan_model(entry, wish, stock); !plan)
        exit_with({plan.error().code, entry.path + ": " + plan.error().message});
}

/// What [[key]] lists, for the server.
std::vector<Key> keys_of(const Settings& settings) {
    std::vector<Key> out;
    for (const KeySettings& key : settings.keys)
        out.push_back({.name = key.name,
                       .hash = *from_hex(key.sha256),
                       .enabled = key.enabled,
                       .requests_per_minute = key.requests_per_minute});
    return out;
}

void serve(const CommandFlags& flags) {
    const LoadedSettings loaded = load_or_exit(flags);
    const Settings& settings = loaded.settings;
    const ModelEntry chosen = choose_or_exit(flags, settings);
    if (!chosen.path.empty()) check_model(settings, chosen);
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
    models.inspect = [&, stock = std::optional<EngineStock>()](const ModelEntry& entry) mutable {
        return inspect_here(settings, entry, stock);
    };
    models.load = [&](const ModelEntry& entry) {
        return load_engine(entry, load_settings_of(settings, entry), clock, metrics);
    };
    const auto registry = make_registry(std::move(models), clock, metrics);
    auto sessions = Sessions::open(std::move(held->store), settings.sessions, clock);
    if (!sessions) exit_with(sessions.error());
    ApiSettings api = settings.api;
    api.assets = web_assets();
    api.keys = keys_of(settings);
    if (!api.keys.empty()) log_info("app", "API keys are needed", {{"listed", api.keys.size()}});
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
    (*server)->stop(drain_us + kLastWordsUs);
    engines.join();
    server->reset();
    sessions->reset();
    // A load cannot be stopped, and nothing is lost with it.
    for (const ModelInfo& model : registry->list())
        if (model.state == ModelState::Loading) std::_Exit(0);
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
