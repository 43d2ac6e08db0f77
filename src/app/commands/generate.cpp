#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <variant>

#include <CLI/CLI.hpp>

#include "app/command.h"
#include "app/load_model.h"
#include "base/log.h"
#include "json/json.h"

namespace dunlin {
namespace {

struct GenerateOptions {
    std::string model, prompt;
    std::vector<TokenId> tokens;
    uint32_t max_tokens = 256, threads = 0;
    float temperature = 0;
    bool ignore_eos = false, chat = false, json = false;
};

/// Everything that came of one generation.
struct Outcome {
    std::vector<TokenId> tokens;
    std::string text;
    Done done;
};

Outcome follow(Generation& generation, bool print) {
    Outcome outcome;
    std::mutex mutex;
    std::condition_variable changed;
    for (uint64_t at = 0;;) {
        bool ready = false;
        generation.wake_on_event(at, [&]() noexcept {
            const std::lock_guard lock(mutex);
            ready = true;
            changed.notify_one();
        });
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return ready; });
        std::vector<Event> events;
        at += generation.read(at, 64, events);
        for (const Event& event : events) {
            if (const auto* text = std::get_if<Text>(&event)) {
                outcome.tokens.insert(outcome.tokens.end(), text->tokens.begin(),
                                      text->tokens.end());
                outcome.text += text->utf8;
                if (print) std::fputs(text->utf8.c_str(), stdout), std::fflush(stdout);
            } else if (const auto* failed = std::get_if<Failed>(&event)) {
                exit_with(failed->error);
            } else if (const auto* done = std::get_if<Done>(&event)) {
                outcome.done = *done;
                return outcome;
            }
        }
    }
}

std::string list(const std::vector<TokenId>& tokens) {
    std::string out = "[";
    for (const TokenId token : tokens) out += (out.size() > 1 ? "," : "") + std::to_string(token);
    return out + "]";
}

void generate(const GenerateOptions& options) {
    Metrics metrics;
    const std::string path = options.model.empty() ? default_model_path() : options.model;
    if (options.json) set_log_level(LogLevel::Warning);
    const auto engine = load_engine({.id = "model", .path = path, .reason = {}},
                                    {.native = {.threads = options.threads}, .engine = {}},
                                    system_clock(), metrics);
    if (!engine) exit_with(engine.error());
    Request request;
    if (!options.tokens.empty())
        request.prompt = options.tokens;
    else if (options.chat)
        request.prompt = std::vector<Message>{{"user", options.prompt}};
    else
        request.prompt = options.prompt;
    request.sampling.temperature = options.temperature;
    request.max_tokens = options.max_tokens;
    request.ignore_eos = options.ignore_eos;
    auto prepared = (*engine)->prepare(request, {});
    if (!prepared) exit_with(prepared.error());
    std::vector<TokenId> prompt = options.tokens;
    if (prompt.empty() && !options.chat)
        prompt = (*engine)->tokenize(options.prompt, true).value_or(std::vector<TokenId>{});
    const auto log = (*engine)->submit(std::move(*prepared), {});
    const Outcome outcome = follow(*log, !options.json);
    const Timings& timings = outcome.done.timings;
    const double decode_ms = timings.decode_ms.value_or(0);
    if (!options.json) {
        std::printf("\n");
        return;
    }
    std::printf(
        "{\"prompt_tokens\":%s,\"tokens\":%s,\"text\":%s,\"timings\":{\"prefill_ms\":%.3f,"
        "\"decode_ms\":%.3f}}\n",
        list(prompt).c_str(), list(outcome.tokens).c_str(),
        write_json(Json(outcome.text)).value_or("\"\"").c_str(), timings.prefill_ms.value_or(0),
        decode_ms);
}

}  // namespace

void add_generate(CLI::App& command) {
    const auto options = std::make_shared<GenerateOptions>();
    command.add_option("--model", options->model, "A GGUF file; without it the default model");
    auto* prompt = command.add_option("--prompt", options->prompt, "The text to go on from");
    auto* tokens = command.add_option("--tokens", options->tokens, "Token ids instead of a text")
                       ->delimiter(',');
    prompt->excludes(tokens);
    command.add_flag("--chat", options->chat, "Put the prompt into the model's chat template");
    command.add_option("--max-tokens", options->max_tokens, "Most tokens to answer")
        ->capture_default_str();
    command.add_option("--temperature", options->temperature, "0 takes the likeliest token")
        ->check(CLI::Range(0.0, 10.0))
        ->capture_default_str();
    command.add_option("--threads", options->threads, "Threads that compute; 0: one a core")
        ->check(CLI::Range(0, 256))
        ->capture_default_str();
    command.add_flag("--ignore-eos", options->ignore_eos, "Go on where the model would end");
    command.add_flag("--json", options->json, "Print one JSON object instead of the text");
    command.callback([options] {
        if (options->prompt.empty() && options->tokens.empty())
            exit_with({Code::Invalid, "give --prompt TEXT or --tokens 1,2,3"}, 2);
        generate(*options);
    });
}

}  // namespace dunlin
