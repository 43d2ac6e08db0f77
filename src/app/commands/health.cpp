#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <CLI/CLI.hpp>

#include "app/command.h"
#include "app/flags.h"
#include "base/log.h"
#include "json/json.h"
#include "net/fetch_status.h"

namespace dunlin {
namespace {

struct HealthOptions {
    std::string url;
    bool alive = false;
    int timeout_ms = 5000;
};

/// Where a server with these settings can be reached from this machine.
HttpPlace place_of(const Settings& settings) {
    const std::string& host = settings.api.host;
    if (settings.api.port == 0)
        exit_with({Code::Invalid, "server.port is 0, so the port is known to none; give --url"}, 2);
    std::string reached = host;
    if (host == "0.0.0.0" || host == "localhost") reached = "127.0.0.1";
    if (host == "::") reached = "::1";
    return {reached, settings.api.port};
}

/// What the server says, in one line: "not_ready; some-model: the file is gone".
std::string summary(std::string_view body) {
    const auto document = read_json(body);
    const Json* status = document ? document->find("status") : nullptr;
    if (status == nullptr || status->string() == nullptr) return "the answer is not Dunlin's";
    std::string out = *status->string();
    const Json* models = document->find("models");
    if (out != "not_ready" || models == nullptr || models->array() == nullptr) return out;
    for (const Json& model : *models->array()) {
        const Json *id = model.find("id"), *able = model.find("able"),
                   *reason = model.find("reason");
        if (id == nullptr || able == nullptr || reason == nullptr) continue;
        if (id->string() == nullptr || able->boolean() == nullptr || *able->boolean()) continue;
        out += "; " + *id->string();
        if (reason->string() != nullptr) out += ": " + *reason->string();
    }
    return out;
}

void health(const CommandFlags& flags, const HealthOptions& options) {
    HttpPlace place;
    if (options.url.empty()) {
        place = place_of(load_or_exit(flags).settings);
    } else {
        auto given = parse_http_place(options.url);
        if (!given) exit_with({Code::Invalid, "--url: " + given.error().message}, 2);
        place = std::move(*given);
    }
    const auto answer = fetch_status(place, options.alive ? "/health" : "/readiness",
                                     std::chrono::milliseconds(options.timeout_ms));
    if (!answer) exit_with(answer.error());
    std::printf("%s\n", log_escape(summary(answer->body)).c_str());
    if (answer->status != 200) std::exit(1);
}

}  // namespace

void add_health(CLI::App& command) {
    const auto flags = std::make_shared<CommandFlags>();
    const auto options = std::make_shared<HealthOptions>();
    command
        .add_option("--url", options->url,
                    "The server to ask; without it the one that the settings describe, "
                    "http://127.0.0.1:3000 without any")
        ->type_name("URL");
    command.add_flag("--alive", options->alive,
                     "Ask only whether the server is alive, not whether it can answer requests");
    command.add_option("--timeout-ms", options->timeout_ms, "Milliseconds to wait for the answer")
        ->check(CLI::Range(1, 600000))
        ->type_name("N")
        ->capture_default_str();
    add_config_flag(command, flags);
    command.footer(
        "Exit code 0: it is; 1: it is not, the line says why; 2: wrong use.\n"
        "Example: dunlin health --url http://127.0.0.1:4000");
    command.callback([flags, options] { health(*flags, *options); });
}

}  // namespace dunlin
