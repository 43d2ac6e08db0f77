#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "app/bench_report.h"
#include "app/command.h"
#include "app/flags.h"
#include "base/log.h"

namespace dunlin {
namespace {

constexpr const char* kAbout =
    "Prefill is one prompt of --prompt arbitrary tokens. Decode is --generate steps of one token "
    "in\n"
    "each stream: after --context tokens, or by default from nothing for one stream (as "
    "llama-bench\n"
    "does) and after --prompt tokens for several. Tokens a second are of all streams together; the "
    "median of --repeat runs is shown,\n"
    "with the least and the most, after a run that does not count. Several engines take turns on\n"
    "the same file in one process, and the ratio is shown; llama.cpp runs with flash attention on\n"
    "and off, and the better one is shown.\n"
    "Bytes a second count weights, keys and values, multiply-adds the weights only. Their peaks "
    "are what these threads reached a moment before: "
    "reading\n"
    "memory (for one stream that decodes), multiplying f32 numbers in registers (for all else;\n"
    "whole numbers of 8 bits can exceed that, and weights that fit the cache can exceed the\n"
    "memory).";

void bench(const CommandFlags& flags, BenchPlan plan, bool json) {
    const Settings settings = load_or_exit(flags).settings;
    const ModelEntry entry = choose_or_exit(flags, settings);
    if (entry.path.empty()) exit_with({Code::NotReady, entry.id + ": " + entry.reason});
    plan.model = entry.path;
    if (plan.threads == 0) plan.threads = std::max(1U, std::thread::hardware_concurrency());
    set_log_level(LogLevel::Warning);
    const auto cost = model_cost(plan.model, plan.kv_type);
    if (!cost) exit_with(cost.error());
    std::fprintf(stderr, "measuring the machine ...\n");
    const Machine machine = measure_machine(plan.threads);
    const auto results =
        run_bench(plan, [](const std::string& what, uint32_t done, uint32_t total) {
            std::fprintf(stderr, "%3u %%  %s\n", 100 * done / total, what.c_str());
        });
    if (!results) exit_with(results.error());
    const std::string text = json ? bench_json(plan, *results, *cost, machine) + "\n"
                                  : bench_table(plan, *results, *cost, machine);
    std::fputs(text.c_str(), stdout);
}

}  // namespace

void add_bench(CLI::App& command) {
    const auto flags = std::make_shared<CommandFlags>();
    const auto plan = std::make_shared<BenchPlan>();
    const auto json = std::make_shared<bool>(false);
    command.footer(kAbout);
    add_model_flag(command, flags);
    command.add_option("--prompt", plan->prompt, "Tokens of the prompt")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    command.add_option("--generate", plan->generate, "Tokens to decode in each stream")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    command.add_option("--streams", plan->streams, "How many sequences decode together: 1,8,32")
        ->delimiter(',')
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    command.add_option("--threads", plan->threads, "Threads that compute; 0: one a core")
        ->check(CLI::Range(0, 256))
        ->capture_default_str();
    command
        .add_option("--context", plan->contexts,
                    "Tokens that each stream holds before it decodes: 100,4000; 0: none for one "
                    "stream, the prompt for several")
        ->delimiter(',')
        ->check(CLI::Range(0, 10'000'000))
        ->capture_default_str();
    command
        .add_option_function<std::string>(
            "--kv-type", [plan](const std::string& text) { plan->kv_type = kv_type_named(text); },
            "How keys and values are kept: f16 or int8")
        ->check(CLI::IsMember(std::vector<std::string>(std::begin(kKvTypes), std::end(kKvTypes))))
        ->default_str("f16");
    command.add_option("--repeat", plan->repeat, "Runs of each test that count")
        ->check(CLI::Range(1, 100))
        ->capture_default_str();
    command
        .add_option("--engine", plan->engines,
                    "native, llama.cpp, or several; llama.cpp-process is llama.cpp as it is served")
        ->delimiter(',')
        ->check(CLI::IsMember({"native", "llama.cpp", "llama.cpp-process"}))
        ->capture_default_str();
    command.add_flag("--json", *json, "Print one JSON object instead of the table");
    add_config_flag(command, flags);
    command.callback([flags, plan, json] { bench(*flags, *plan, *json); });
}

}  // namespace dunlin
