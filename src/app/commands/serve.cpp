#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>
#include <sys/stat.h>

#include "api/server.h"
#include "app/command.h"
#include "app/fake_model.h"
#include "app/load_model.h"
#include "app/web_assets.h"
#include "base/log.h"
#include "base/os.h"

namespace dunlin {
namespace {

constexpr int64_t kDrainUs = 30'000'000;

struct ServeOptions {
    std::string model;
    ApiSettings api;
    uint32_t threads = 0;
};

bool exists(const std::string& path) {
    struct stat status{};
    return stat(path.c_str(), &status) == 0;
}

/// The models without a configuration: the default, two that a hub will give, and what --model
/// names.
RegistrySettings list_models(const std::string& model) {
    RegistrySettings settings;
    const std::string path = default_model_path();
    const bool fetched = exists(path);
    if (fetched)
        settings.models.push_back({kDefaultModel, path, ""});
    else
        settings.models.push_back(
            {kDefaultModel, "", "not downloaded yet; run scripts/fetch-model"});
    for (const char* name : {"Qwen/Qwen2.5-0.5B-Instruct", "microsoft/Phi-3.5-mini-instruct"})
        settings.models.push_back({name, "",
                                   "not downloaded, and this version cannot download it; "
                                   "pass a GGUF file with --model"});
    settings.default_model = kDefaultModel;
    if (model.empty() || model == kDefaultModel) return settings;
    std::string id = is_fake_model(model) ? "fake" : model;
    if (const size_t slash = id.rfind('/'); slash != std::string::npos) id.erase(0, slash + 1);
    if (id.ends_with(".gguf")) id.resize(id.size() - 5);
    settings.models.insert(settings.models.begin(), {id, model, ""});
    settings.default_model = id;
    return settings;
}

void serve(ServeOptions& options) {
    // Signals are waited for, not handled: block them before any thread starts.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    Metrics metrics;
    const Clock& clock = system_clock();
    RegistrySettings models = list_models(options.model);
    models.inspect = inspect_model;
    models.memory_bytes_max = physical_memory_bytes();
    LoadSettings load{.native = {.threads = options.threads}, .engine = {}};
    load.engine.response_tokens_max = options.api.response_tokens_max;
    models.load = [&, load](const ModelEntry& entry) {
        return load_engine(entry, load, clock, metrics);
    };
    const auto registry = make_registry(std::move(models), clock, metrics);
    options.api.assets = web_assets();
    auto server = Server::start(options.api, *registry, metrics, clock);
    if (!server) exit_with(server.error());
    std::printf("Dunlin listens on http://%s:%u\n", options.api.host.c_str(), (*server)->port());
    std::fflush(stdout);

    int received = 0;
    sigwait(&signals, &received);
    log_info("app", "draining; a second signal ends it now", {{"signal", received}});
    std::thread([signals] {
        int again = 0;
        sigwait(&signals, &again);
        std::_Exit(1);
    }).detach();
    std::jthread engines([&] { registry->drain(clock.now_us() + kDrainUs); });
    (*server)->stop(kDrainUs);
}

}  // namespace

void add_serve(CLI::App& command) {
    const auto options = std::make_shared<ServeOptions>();
    command.add_option("--model", options->model,
                       "A GGUF file, or the name of a listed model; 'fake' serves without one");
    command.add_option("--host", options->api.host, "Address to listen on")->capture_default_str();
    command.add_option("--port", options->api.port, "Port to listen on; 0 takes a free one")
        ->capture_default_str();
    command.add_option("--threads", options->threads, "Threads that compute; 0: one a core")
        ->check(CLI::Range(0, 256))
        ->capture_default_str();
    command.callback([options] { serve(*options); });
}

}  // namespace dunlin
