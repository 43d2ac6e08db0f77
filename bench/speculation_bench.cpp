// What guessing ahead (engine/prompt_lookup.h) does to the speed of answers: the same requests with
// and without it, in turns, through the whole engine. Checks that the tokens are the same.
//
// usage: speculation_bench MODEL.gguf [THREADS [ROUNDS [TOKENS]]]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "engine/local_engine.h"
#include "formats/gguf.h"
#include "formats/model_config.h"
#include "registry/gguf_text.h"
#include "runner/native/native_runner.h"

namespace dunlin {
namespace {

const std::string kText =
    "The harbour of Eastmouth was built in 1821 by Thomas Grey, who had seen the great docks of "
    "the "
    "north and wanted one for his own town. It took eleven years and the work of four hundred men. "
    "The first ship that came in was the Good Hope, which carried timber and iron. In the winter "
    "of "
    "1854 a storm broke the outer wall, and three boats were lost. The wall was built again from "
    "granite, two metres thicker than before. Today the harbour is used by fishing boats and by "
    "visitors who come to see the old crane, the lighthouse and the small museum.";

const std::string kCode =
    "def load_users(path):\n    users = []\n    with open(path) as file:\n        for line in "
    "file:\n"
    "            name, age = line.strip().split(',')\n            users.append({'name': name, "
    "'age': "
    "int(age)})\n    return users\n\ndef oldest(users):\n    best = None\n    for user in users:\n"
    "        if best is None or user['age'] > best['age']:\n            best = user\n    return "
    "best\n";

struct Task {
    const char* name;
    std::vector<std::string> prompts;
};

const std::vector<Task> kTasks = {
    {"quote and edit",
     {"Repeat the following text word for word.\n\n" + kText,
      "Repeat the following text, with \"Eastmouth\" changed to \"Westmouth\".\n\n" + kText,
      "Repeat this code, with the name users changed to people.\n\n```python\n" + kCode + "```",
      "Correct the spelling of this text and write it out in full.\n\nThe harbor of Eastmouth "
      "were " +
          kText.substr(27)}},
    {"chat",
     {"What is gravity?", "Write a short story about a fox and a lighthouse.",
      "How do I bake bread? Give me the steps.", "Tell me about the history of the printing press.",
      "Write a Python function that computes prime numbers, and explain it.",
      "Which is better for a beginner, a guitar or a piano, and why?"}}};

std::vector<std::vector<TokenId>> run(Engine& engine, const std::vector<std::string>& prompts,
                                      uint32_t streams, float temperature, uint32_t tokens,
                                      double& seconds) {
    std::vector<std::vector<TokenId>> answers;
    for (size_t begin = 0; begin < prompts.size(); begin += streams) {
        std::vector<std::shared_ptr<Generation>> logs;
        for (size_t i = begin; i < std::min<size_t>(begin + streams, prompts.size()); ++i) {
            Request request;
            request.prompt = std::vector<Message>{{"user", prompts[i]}};
            request.max_tokens = tokens;
            request.sampling.temperature = temperature;
            request.sampling.seed = 7;
            logs.push_back(engine.submit(*engine.prepare(request, {}), {.domain = {i + 1, 0}}));
        }
        std::chrono::steady_clock::time_point first{};
        for (const auto& log : logs) {
            auto& answer = answers.emplace_back();
            for (uint64_t at = 0;; ++at) {
                wait_for_event(*log, at);
                std::vector<Event> events;
                log->read(at, 1, events);
                if (const auto* text = std::get_if<Text>(&events[0])) {
                    if (first.time_since_epoch().count() == 0)
                        first = std::chrono::steady_clock::now();
                    answer.insert(answer.end(), text->tokens.begin(), text->tokens.end());
                }
                if (is_last(events[0])) break;
            }
        }
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - first).count();
    }
    return answers;
}

double value(Metrics& metrics, const char* model, const char* kind) {
    return static_cast<double>(
        metrics.counter("dunlin_draft_tokens_total", "", {{"model", model}, {"kind", kind}})
            .value());
}

int main_of(const std::string& path, uint32_t threads, uint32_t rounds, uint32_t tokens) {
    const auto file = GgufFile::open(path);
    if (!file) return std::fprintf(stderr, "%s\n", file.error().message.c_str()), 1;
    const auto config = model_config_from_gguf(**file);
    Metrics metrics;
    const auto make = [&](uint32_t drafts) {
        auto runner = make_native_runner(*config, **file, {.threads = threads});
        return make_engine(
            std::move(*runner), std::move(*tokenizer_from_gguf(**file)),
            std::move(*chat_template_from_gguf(**file)),
            {.model = drafts > 0 ? "on" : "off", .draft_tokens_max = drafts, .end_tokens = {2}},
            system_clock(), metrics);
    };
    const auto with = make(EngineSettings{}.draft_tokens_max), without = make(0);
    bool same = true;
    std::printf("%-16s %8s %12s %12s %8s %8s %20s\n", "task", "streams", "temperature", "tokens/s",
                "without", "ratio", "guesses, right ones");
    for (const Task& task : kTasks) {
        for (const uint32_t streams : {1U, 2U, 4U, 8U}) {
            for (const float temperature : {0.0F, 0.8F}) {
                auto prompts = task.prompts;
                while (prompts.size() < streams)
                    prompts.insert(prompts.end(), task.prompts.begin(), task.prompts.end());
                std::vector<double> ratios, on, off;
                const double drafted = value(metrics, "on", "drafted");
                const double accepted = value(metrics, "on", "accepted");
                for (uint32_t round = 0; round <= rounds; ++round) {
                    double on_s = 0, off_s = 0;
                    std::vector<std::vector<TokenId>> expected, found;
                    for (const bool guesses : {round % 2 == 0, round % 2 != 0}) {
                        auto& answers = guesses ? found : expected;
                        answers = run(guesses ? *with : *without, prompts, streams, temperature,
                                      tokens, guesses ? on_s : off_s);
                    }
                    same = same && found == expected;
                    if (round == 0) continue;  // fills the prefix caches
                    size_t count = 0;
                    for (const auto& answer : found) count += answer.size();
                    on.push_back(static_cast<double>(count) / on_s);
                    off.push_back(static_cast<double>(count) / off_s);
                    ratios.push_back(off_s / on_s);
                }
                const auto median = [](std::vector<double>& values) {
                    std::sort(values.begin(), values.end());
                    return values[values.size() / 2];
                };
                std::printf("%-16s %8u %12.1f %12.1f %8.1f %8.3f %10.0f %8.0f\n", task.name,
                            streams, static_cast<double>(temperature), median(on), median(off),
                            median(ratios), value(metrics, "on", "drafted") - drafted,
                            value(metrics, "on", "accepted") - accepted);
                std::fflush(stdout);
            }
        }
    }
    std::printf(same ? "the same tokens everywhere\n" : "DIFFERENT TOKENS\n");
    return same ? 0 : 1;
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
    const auto number = [&](int i, uint32_t otherwise) {
        return argc > i ? static_cast<uint32_t>(std::stoul(argv[i])) : otherwise;
    };
    if (argc < 2) {
        std::fprintf(stderr, "usage: speculation_bench MODEL.gguf [THREADS [ROUNDS [TOKENS]]]\n");
        return 2;
    }
    return dunlin::main_of(argv[1], number(2, 0), number(3, 5), number(4, 200));
}
