#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <variant>

#include <CLI/CLI.hpp>

#include "app/command.h"
#include "app/flags.h"
#include "app/load_model.h"
#include "app/models.h"
#include "app/token_ids.h"
#include "base/log.h"
#include "json/json.h"

namespace dunlin {
namespace {

struct GenerateOptions {
    std::string prompt, tokens;
    uint32_t max_tokens = 256;
    std::optional<uint32_t> logprobs;
    std::optional<int64_t> seed;
    float temperature = 0;
    bool ignore_eos = false, chat = false, json = false;
};

/// Everything that came of one generation.
struct Outcome {
    std::vector<TokenId> tokens;
    std::string text;
    std::vector<TokenLogprob> logprobs;
    Finished finished;
    Done done;
};

/// Reads the events to the end; prints the text as it comes if asked to.
Outcome follow(Generation& generation, bool print) {
    Outcome outcome;
    for (uint64_t at = 0;;) {
        wait_for_event(generation, at);
        std::vector<Event> events;
        at += generation.read(at, 64, events);
        for (const Event& event : events) {
            if (const auto* text = std::get_if<Text>(&event)) {
                outcome.tokens.insert(outcome.tokens.end(), text->tokens.begin(),
                                      text->tokens.end());
                outcome.logprobs.insert(outcome.logprobs.end(), text->logprobs.begin(),
                                        text->logprobs.end());
                outcome.text += text->utf8;
                if (print) std::fputs(text->utf8.c_str(), stdout), std::fflush(stdout);
            } else if (const auto* failed = std::get_if<Failed>(&event)) {
                exit_with(failed->error);
            } else if (const auto* finished = std::get_if<Finished>(&event)) {
                outcome.finished = *finished;
            } else if (const auto* done = std::get_if<Done>(&event)) {
                outcome.done = *done;
                return outcome;
            }
        }
    }
}

/// One list a token, of [id, logprob], best first.
Json likeliest(const std::vector<TokenLogprob>& logprobs) {
    Json::Array out;
    for (const TokenLogprob& token : logprobs) {
        Json::Array best;
        for (const auto& top : token.top)
            best.emplace_back(Json::Array{top.id, static_cast<double>(top.logprob)});
        out.emplace_back(std::move(best));
    }
    return out;
}

void print_answer(const std::vector<TokenId>& prompt, const Outcome& outcome, bool logprobs,
                  double load_ms) {
    const Timings& timings = outcome.done.timings;
    Json times(Json::Object{});
    times.set("load_ms", load_ms)
        .set("prefill_ms", timings.prefill_ms.value_or(0))
        .set("decode_ms", timings.decode_ms.value_or(0));
    Json out(Json::Object{});
    out.set("prompt_tokens", to_json(prompt))
        .set("tokens", to_json(outcome.tokens))
        .set("text", outcome.text)
        .set("finish_reason", outcome.finished.end == End::Length ? "length" : "stop");
    if (logprobs) out.set("logprobs", likeliest(outcome.logprobs));
    out.set("timings", std::move(times));
    const auto text = write_json(out);
    if (!text) exit_with(text.error());
    std::printf("%s\n", text->c_str());
}

Request make_request(const GenerateOptions& options) {
    Request request;
    if (!options.tokens.empty()) {
        auto ids = parse_token_ids(options.tokens);
        if (!ids)
            exit_with({Code::Invalid, "--tokens: \"" + log_escape(options.tokens) +
                                          "\" is not a list of token ids; write 1,2,3"},
                      2);
        request.prompt = std::move(*ids);
    } else {
        const std::string prompt = options.prompt == "-" ? read_stdin() : options.prompt;
        if (options.chat)
            request.prompt = std::vector<Message>{{"user", prompt}};
        else
            request.prompt = prompt;
    }
    request.sampling.temperature = options.temperature;
    if (options.seed) request.sampling.seed = static_cast<uint64_t>(*options.seed);
    request.max_tokens = options.max_tokens;
    request.ignore_eos = options.ignore_eos;
    request.logprobs = options.logprobs;
    request.end_logprobs = true;
    return request;
}

void generate(const CommandFlags& flags, const GenerateOptions& options) {
    LoadedSettings loaded = load_or_exit(flags);
    const Request request = make_request(options);
    const ModelEntry entry = choose_or_exit(flags, loaded.settings);
    if (entry.path.empty()) exit_with({Code::NotReady, entry.id + ": " + entry.reason});
    // The log is for servers: here the answer alone should stand on the terminal.
    set_log_level(std::max(loaded.settings.log_level, LogLevel::Warning));
    loaded.settings.api.response_tokens_max = 0;  // --max-tokens is the user's own word

    Metrics metrics;
    const Clock& clock = system_clock();
    const int64_t began_us = clock.now_us();
    const auto model = load_engine(entry, load_settings_of(loaded.settings, entry), clock, metrics);
    if (!model) exit_with(model.error());
    const auto& engine = model->engine;
    const double load_ms = static_cast<double>(clock.now_us() - began_us) / 1e3;
    auto prepared = engine->prepare(request, {});
    if (!prepared) exit_with(prepared.error());
    const auto ids = (*prepared)->prompt_ids();
    const std::vector<TokenId> prompt(ids.begin(), ids.end());
    const auto log = engine->submit(std::move(*prepared), {});
    const Outcome outcome = follow(*log, !options.json);
    if (options.json)
        print_answer(prompt, outcome, options.logprobs.has_value(), load_ms);
    else
        std::printf("\n");
}

}  // namespace

void add_generate(CLI::App& command) {
    const auto flags = std::make_shared<CommandFlags>();
    add_model_flag(command, flags);
    const auto options = std::make_shared<GenerateOptions>();
    auto* prompt = command.add_option("--prompt", options->prompt,
                                      "The text to go on from; - reads it from standard input");
    prompt->type_name("TEXT|-");
    auto* tokens = command.add_option("--tokens", options->tokens, "Token ids instead of a text");
    tokens->type_name("1,2,3")->excludes(prompt);
    command.add_flag("--chat", options->chat, "Put the prompt into the model's chat template")
        ->excludes(tokens);
    command.add_option("--max-tokens", options->max_tokens, "Most tokens to answer")
        ->type_name("N")
        ->check(CLI::Range(1, 16777216))
        ->capture_default_str();
    command
        .add_option("--temperature", options->temperature,
                    "Spread of the draw; 0 always takes the likeliest token")
        ->type_name("T")
        ->check(CLI::Range(0.0, 10.0))
        ->capture_default_str();
    command.add_option("--seed", options->seed, "The same seed gives the same draw")
        ->type_name("N");
    command.add_flag("--ignore-eos", options->ignore_eos, "Go on where the model would end");
    command
        .add_option("--logprobs", options->logprobs,
                    "With --json: the log-probabilities of the K likeliest tokens at each place")
        ->type_name("K")
        ->check(CLI::Range(1, 1000));
    command.add_flag("--json", options->json, "Print one JSON object instead of the text");
    add_setting_flags(command, flags, FlagScope::Models);
    command.footer(
        "Examples:\n"
        "  dunlin generate --chat --prompt \"What is gravity?\"\n"
        "  dunlin generate --model some.gguf --tokens 1,2,3 --max-tokens 8 --logprobs 5 --json");
    command.callback([flags, options] {
        if (options->prompt.empty() && options->tokens.empty())
            exit_with({Code::Invalid, "give --prompt TEXT or --tokens 1,2,3"}, 2);
        generate(*flags, *options);
    });
}

}  // namespace dunlin
