// The default model by llama.cpp on every device that it sees here, with all layers there and with
// half of them, beside the CPU: the same greedy tokens wherever the choice is clear. Kernels of
// different devices add in another order and round to other types, so a choice is clear where the
// best token leads the second by more than kClearLead: the CPU's 8-bit activations alone turn leads
// of up to 0.36 (docs/PERFORMANCE.md, Truth). Prints what it measured.
//
// usage: device_test DEFAULT_MODEL.gguf

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "formats/gguf.h"
#include "gtest/gtest.h"
#include "rival/choices.h"
#include "runner/llamacpp/devices.h"
#include "runner/llamacpp/llamacpp_runner.h"

namespace dunlin {
namespace {

constexpr uint32_t kContext = 256, kAnswer = 16;
constexpr float kClearLead = 0.5F;

std::string model_path;

std::unique_ptr<Runner> make(const std::string& device, std::optional<uint32_t> layers) {
    auto made = make_llamacpp_runner(model_path, {.threads = 1,
                                                  .sequences_max = 1,
                                                  .step_tokens_max = 64,
                                                  .step_outputs_max = 64,
                                                  .context_tokens_max = kContext,
                                                  .device = device,
                                                  .device_layers = layers});
    EXPECT_TRUE(made) << made.error().message;
    return made ? std::move(*made) : nullptr;
}

uint32_t layers() {
    const auto file = GgufFile::open(model_path);
    EXPECT_TRUE(file);
    const std::string architecture((*file)->get_string("general.architecture").value_or(""));
    return static_cast<uint32_t>((*file)->get_uint(architecture + ".block_count").value_or(0)) + 1;
}

/// Prompts of arbitrary tokens, and one of length 1. Few, because a device may be a CPU that plays
/// one: lavapipe takes seconds for a step.
std::vector<std::vector<TokenId>> prompts() {
    std::vector<std::vector<TokenId>> made{{1}};
    for (const uint32_t length : {7U, 60U}) {
        auto& prompt = made.emplace_back();
        for (uint32_t i = 0; i < length; ++i)
            prompt.push_back(static_cast<TokenId>((i * 7919U + length * 104729U) % 49152U));
    }
    return made;
}

TEST(Device, TheTokensOfTheCpuWithAllLayersAndWithHalf) {
    const auto devices = llamacpp_devices();
    ASSERT_FALSE(devices.empty()) << "llama.cpp sees no device here: for Mesa's lavapipe, "
                                     "GGML_VK_VISIBLE_DEVICES=0 must be set";
    const auto cpu = make("cpu", std::nullopt);
    ASSERT_TRUE(cpu);
    std::vector<std::vector<TokenId>> texts;
    std::vector<std::vector<Choice>> truth;
    for (auto text : prompts()) {
        const size_t from = text.size();
        continue_greedily(*cpu, text, kAnswer);
        truth.push_back(choices(*cpu, text, from));
        texts.push_back(std::move(text));
    }
    for (const LlamaCppDevice& device : devices)
        for (const uint32_t on_device : {layers(), layers() / 2}) {
            const auto runner = make(device.name, on_device);
            ASSERT_TRUE(runner);
            EXPECT_GT(runner->memory().device_bytes, 0U);
            Differences differences;
            size_t rows = 0;
            for (size_t i = 0; i < texts.size(); ++i) {
                const auto there = choices(*runner, texts[i], texts[i].size() - kAnswer);
                ASSERT_EQ(there.size(), truth[i].size());
                for (size_t k = 0; k < there.size(); ++k, ++rows)
                    if (there[k].token != truth[i][k].token)
                        differences.add(std::min(there[k].lead, truth[i][k].lead));
            }
            differences.print((device.description + ", " + std::to_string(on_device) + " of " +
                               std::to_string(layers()) + " layers")
                                  .c_str(),
                              rows);
            EXPECT_LE(differences.largest_lead, kClearLead);
        }
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 2) {
        std::fprintf(stderr, "usage: device_test DEFAULT_MODEL.gguf\n");
        return 2;
    }
    dunlin::model_path = argv[1];
    return RUN_ALL_TESTS();
}
