#include "app/choose_engine.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runner/fake/fake_runner.h"

namespace dunlin {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uint64_t kGib = uint64_t{1} << 30;
const LlamaCppDevice kSmall{"cuda0", "cuda", "NVIDIA Small", true, 8 * kGib, 8 * kGib};
const LlamaCppDevice kLarge{"cuda1", "cuda", "NVIDIA Large", true, 20 * kGib, 24 * kGib};
const LlamaCppDevice kVulkan{"vulkan0", "vulkan", "AMD", true, 12 * kGib, 16 * kGib};
const LlamaCppDevice kLavapipe{"vulkan1", "vulkan", "llvmpipe", false, 90 * kGib, 90 * kGib};
const EngineStock kPlain{};
const EngineStock kCpu{.has_llamacpp = true};
const EngineStock kGpus{.has_llamacpp = true, .devices = {kSmall, kLarge, kVulkan, kLavapipe}};
const EngineNeeds kKnown{.native_obstacle = "", .file_bytes = 4 * kGib};
const EngineNeeds kForeign{.native_obstacle = "the native engine does not know \"x\"",
                           .file_bytes = 4 * kGib};

/// "engine device", or what the error says.
std::string chosen(const EngineWish& wish, const EngineNeeds& needs, const EngineStock& stock) {
    const auto choice = choose_engine(wish, needs, stock);
    if (choice) EXPECT_FALSE(choice->why.empty() || choice->why.ends_with('.'));
    if (!choice) EXPECT_EQ(choice.error().code, Code::Unsupported);
    return choice ? choice->engine + " " + choice->device : choice.error().message;
}

TEST(ChooseEngine, WithoutAGpuOursWhereItKnowsTheModel) {
    EXPECT_EQ(chosen({}, kKnown, kPlain), "native cpu");
    EXPECT_EQ(chosen({}, kKnown, kCpu), "native cpu");
    EXPECT_EQ(chosen({}, kForeign, kCpu), "llama.cpp cpu");
    EXPECT_THAT(chosen({}, kForeign, kPlain),
                AllOf(HasSubstr("does not know \"x\""), HasSubstr("scripts/build full")));
    EXPECT_THAT(choose_engine({}, kForeign, kCpu)->why, HasSubstr("does not know \"x\""));
}

TEST(ChooseEngine, TakesTheGpuWithTheMostFreeMemoryIfItHoldsHalf) {
    EXPECT_EQ(chosen({}, kKnown, kGpus), "llama.cpp cuda1");
    const auto whole = choose_engine({}, kKnown, kGpus);
    EXPECT_THAT(whole->why, AllOf(HasSubstr("NVIDIA Large"), HasSubstr("4.0 GiB fit")));
    EXPECT_FALSE(whole->device_layers);
    EngineNeeds needs = kKnown;
    needs.file_bytes = 40 * kGib;
    EXPECT_EQ(chosen({}, needs, kGpus), "llama.cpp cuda1");
    EXPECT_THAT(choose_engine({}, needs, kGpus)->why, HasSubstr("as many layers as fit"));
    needs.file_bytes = 41 * kGib;
    EXPECT_EQ(chosen({}, needs, kGpus), "native cpu");
    EXPECT_THAT(choose_engine({}, needs, kGpus)->why, HasSubstr("less than half of 41.0 GiB"));
}

TEST(ChooseEngine, WhatOnlyLooksLikeAGpuMustBeNamed) {
    const EngineStock lavapipe{.has_llamacpp = true, .devices = {kLavapipe}};
    EXPECT_EQ(chosen({}, kKnown, lavapipe), "native cpu");
    EXPECT_EQ(chosen({.device = "vulkan1"}, kKnown, lavapipe), "llama.cpp vulkan1");
    EXPECT_EQ(chosen({.device = "vulkan"}, kKnown, lavapipe), "llama.cpp vulkan1");
    EXPECT_EQ(chosen({.device = "vulkan"}, kKnown, kGpus), "llama.cpp vulkan0");
}

TEST(ChooseEngine, TheSettingsAreObeyed) {
    EXPECT_EQ(chosen({.engine = "native"}, kKnown, kGpus), "native cpu");
    EXPECT_EQ(chosen({.engine = "llama.cpp"}, kKnown, kCpu), "llama.cpp cpu");
    EXPECT_EQ(chosen({.engine = "llama.cpp"}, kKnown, kGpus), "llama.cpp cuda1");
    EXPECT_EQ(chosen({.engine = "llama.cpp", .device = "cpu"}, kKnown, kGpus), "llama.cpp cpu");
    EXPECT_EQ(chosen({.device = "cpu"}, kKnown, kGpus), "native cpu");
    EXPECT_EQ(chosen({.device = "cpu"}, kForeign, kGpus), "llama.cpp cpu");
    EXPECT_EQ(chosen({.device = "cuda"}, kKnown, kGpus), "llama.cpp cuda1");
    EXPECT_EQ(chosen({.device = "cuda0"}, kKnown, kGpus), "llama.cpp cuda0");
    const auto layers = choose_engine({.device = "cuda0", .device_layers = 7}, kKnown, kGpus);
    EXPECT_EQ(layers->device_layers, 7U);
    EXPECT_THAT(layers->why, HasSubstr("7 layers"));
    EXPECT_FALSE(
        choose_engine({.device = "cpu", .device_layers = 7}, kKnown, kGpus)->device_layers);
}

TEST(ChooseEngine, WhatCannotBeIsRefusedWithWhatThereIs) {
    EXPECT_THAT(chosen({.engine = "native"}, kForeign, kGpus), HasSubstr("set models.engine to"));
    EXPECT_THAT(chosen({.engine = "native", .device = "cuda"}, kKnown, kGpus),
                HasSubstr("computes on the CPU, and models.device is \"cuda\""));
    EXPECT_THAT(chosen({.engine = "llama.cpp"}, kKnown, kPlain), HasSubstr("scripts/build full"));
    EXPECT_THAT(chosen({.device = "cuda"}, kKnown, kPlain),
                AllOf(HasSubstr("finds here: cpu;"), HasSubstr("scripts/build full")));
    EXPECT_THAT(chosen({.device = "cuda"}, kKnown, kCpu),
                AllOf(HasSubstr("finds here: cpu;"), HasSubstr("full-cuda")));
    EXPECT_THAT(chosen({.device = "cuda7"}, kKnown, kGpus),
                HasSubstr("cpu, cuda0, cuda1, vulkan0, vulkan1"));
}

/// As engine_stock() finds it on a machine with that much main memory.
EngineStock with_memory(EngineStock stock, uint64_t bytes) {
    stock.memory_bytes = bytes;
    return stock;
}

/// A file of so many layers of 1 GiB.
EngineNeeds layers_of_1_gib(uint64_t count) {
    return {.native_obstacle = "", .file_bytes = count * kGib, .layers = LayerBytes(count, kGib)};
}

/// "engine device", or what the refusal for the size says.
std::string fitted(const EngineWish& wish, const EngineNeeds& needs, const EngineStock& stock) {
    const auto choice = choose_engine(wish, needs, stock);
    if (!choice) EXPECT_EQ(choice.error().code, Code::OutOfMemory);
    return choice ? choice->engine + " " + choice->device : choice.error().message;
}

TEST(ChooseEngine, MainMemoryLimitsWhatTheCpuComputes) {
    EXPECT_EQ(fitted({}, layers_of_1_gib(16), with_memory(kCpu, 16 * kGib)), "native cpu");
    EXPECT_EQ(fitted({}, layers_of_1_gib(17), kCpu), "native cpu") << "nobody knows how much";
    const std::string refusal =
        "the file has 17.0 GiB, and main memory has 16.0 GiB; take a smaller or more quantized one";
    for (const EngineWish& wish :
         {EngineWish{}, EngineWish{.engine = "native"}, EngineWish{.engine = "llama.cpp"}})
        EXPECT_EQ(fitted(wish, layers_of_1_gib(17), with_memory(kCpu, 16 * kGib)), refusal);
    EXPECT_EQ(fitted({.device = "cpu"}, layers_of_1_gib(17), with_memory(kGpus, 16 * kGib)),
              refusal);
}

TEST(ChooseEngine, ADeviceAndMainMemoryHoldTheFileTogether) {
    // cuda1 has 20 GiB free, of which half a GiB is kept: 19 layers.
    const EngineStock two = with_memory(kGpus, 2 * kGib), large = with_memory(kGpus, 30 * kGib);
    EXPECT_EQ(fitted({}, layers_of_1_gib(19), two), "llama.cpp cuda1") << "all of it on the GPU";
    EXPECT_EQ(fitted({}, layers_of_1_gib(21), two), "llama.cpp cuda1");
    EXPECT_EQ(fitted({}, layers_of_1_gib(22), two),
              "the file has 22.0 GiB, and of it 19.0 GiB would lie on cuda1 (NVIDIA Large, 20.0 "
              "GiB free), the rest in main memory, which has 2.0 GiB; take a smaller or more "
              "quantized one");
    EXPECT_EQ(fitted({.device = "cuda0"}, layers_of_1_gib(9), two), "llama.cpp cuda0");
    EXPECT_THAT(fitted({.device = "cuda0"}, layers_of_1_gib(10), two), HasSubstr("7.0 GiB would"));
    EXPECT_EQ(fitted({}, layers_of_1_gib(49), large), "llama.cpp cuda1")
        << "less than half fits there, but without it nothing does";
    EXPECT_THAT(fitted({}, layers_of_1_gib(50), large), HasSubstr("19.0 GiB would lie on cuda1"));
    EngineNeeds unknown = layers_of_1_gib(19);
    unknown.layers.clear();
    EXPECT_THAT(fitted({}, unknown, two), HasSubstr("of it 0.0 GiB")) << "nothing is put there";
}

TEST(ChooseEngine, TheLayersThatTheSettingsNameAreWhatADeviceHolds) {
    const EngineStock stock = with_memory(kGpus, 8 * kGib);
    const auto on_cuda0 = [&](uint32_t layers) {
        return fitted({.device = "cuda0", .device_layers = layers}, layers_of_1_gib(12), stock);
    };
    EXPECT_THAT(on_cuda0(3), HasSubstr("3.0 GiB would lie on cuda0"));
    EXPECT_EQ(on_cuda0(4), "llama.cpp cuda0");
    EXPECT_EQ(on_cuda0(8), "llama.cpp cuda0");
    EXPECT_THAT(on_cuda0(9), HasSubstr("9.0 GiB would lie on cuda0"));
    EXPECT_THAT(on_cuda0(1000), HasSubstr("12.0 GiB would lie on cuda0"));
}

TEST(ChooseEngine, WhatLlamaCppCannotComputeIsForTheOtherEngineOrForNone) {
    EngineNeeds ours = kKnown, nobodys = kForeign;
    ours.llamacpp_obstacle = nobodys.llamacpp_obstacle = "llama.cpp does not know \"x\"";
    EXPECT_EQ(chosen({}, ours, kGpus), "native cpu");
    EXPECT_THAT(choose_engine({}, ours, kGpus)->why, HasSubstr("because llama.cpp does not know"));
    EXPECT_EQ(chosen({.device = "cpu"}, ours, kCpu), "native cpu");
    for (const EngineWish& wish : {EngineWish{.engine = "llama.cpp"}, EngineWish{.device = "cuda"}})
        EXPECT_THAT(chosen(wish, ours, kGpus),
                    AllOf(HasSubstr("does not know"), HasSubstr("set models.engine")));
    for (const EngineWish& wish : {EngineWish{}, EngineWish{.engine = "llama.cpp"}})
        EXPECT_THAT(chosen(wish, nobodys, kGpus), AllOf(HasSubstr("the native engine does not"),
                                                        HasSubstr("llama.cpp does not")));
    EXPECT_THAT(chosen({}, nobodys, kPlain), HasSubstr("scripts/build full"));
}

/// Makes a runner on the CPU; anything else fails.
Expected<std::unique_ptr<Runner>> only_on_cpu(const EngineChoice& choice) {
    if (choice.device != "cpu") return fail(Code::OutOfMemory, "the driver gave up");
    return make_fake_runner({.vocabulary = 8});
}

TEST(ChooseRunner, TheCpuTakesOverFromAGpuThatFails) {
    for (const EngineWish& wish : {EngineWish{}, EngineWish{.device = "cuda0"}}) {
        const auto known = choose_runner("m", wish, kKnown, kGpus, only_on_cpu);
        ASSERT_TRUE(known);
        EXPECT_EQ(known->choice.engine + " " + known->choice.device, "native cpu");
        EXPECT_THAT(known->choice.why,
                    AllOf(HasSubstr("cuda"), HasSubstr("failed (the driver gave up)")));
        EXPECT_EQ(known->runner->capabilities().vocabulary, 8U);
    }
    EXPECT_EQ(choose_runner("m", {}, kForeign, kGpus, only_on_cpu)->choice.engine, "llama.cpp");
    EXPECT_EQ(
        choose_runner("m", {.engine = "llama.cpp"}, kKnown, kGpus, only_on_cpu)->choice.engine,
        "llama.cpp");
}

TEST(ChooseRunner, TheCpuDoesNotTakeOverWhatMainMemoryCannotHold) {
    const auto made =
        choose_runner("m", {}, layers_of_1_gib(19), with_memory(kGpus, 2 * kGib), only_on_cpu);
    EXPECT_EQ(made.error().code, Code::OutOfMemory);
    EXPECT_EQ(made.error().message,
              "cuda1 failed (the driver gave up), and the CPU cannot take over: the file has 19.0 "
              "GiB, and main memory has 2.0 GiB; take a smaller or more quantized one");
}

TEST(ChooseRunner, WhatFailsOnTheCpuTooIsAnError) {
    int tries = 0;
    const auto fails = [&](const EngineChoice&) -> Expected<std::unique_ptr<Runner>> {
        return fail(Code::OutOfMemory, "try " + std::to_string(++tries));
    };
    EXPECT_EQ(choose_runner("m", {}, kKnown, kGpus, fails).error().message, "try 2");
    EXPECT_EQ(choose_runner("m", {}, kKnown, kCpu, fails).error().message, "try 3");
}

/// A copy of the tiny model with other bytes in it.
class NativeObstacle : public testing::Test {
 protected:
    NativeObstacle() {
        std::ifstream file(DUNLIN_TEST_DATA "/tiny_plain.gguf", std::ios::binary);
        bytes_.assign(std::istreambuf_iterator<char>(file), {});
    }
    ~NativeObstacle() override { std::filesystem::remove(path_); }

    std::string obstacle() const {
        std::ofstream(path_, std::ios::binary) << bytes_;
        const auto file = GgufFile::open(path_);
        EXPECT_TRUE(file) << file.error().message;
        return file ? native_obstacle(**file) : "";
    }

    const std::string path_ =
        (std::filesystem::temp_directory_path() / ("dunlin_" + std::to_string(getpid()) + ".gguf"))
            .string();
    std::string bytes_;
};

TEST_F(NativeObstacle, IsNoneForOurs) {
    EXPECT_EQ(obstacle(), "");
}

TEST_F(NativeObstacle, IsAForeignArchitecture) {
    for (size_t at = 0; (at = bytes_.find("llama", at)) != bytes_.npos;)
        bytes_.replace(at, 5, "other");
    EXPECT_EQ(obstacle(),
              "the native engine does not know the architecture \"other\", it knows llama");
}

TEST_F(NativeObstacle, IsATypeThatIsNotComputed) {
    const std::string name = "output_norm.weight";
    // Behind the name: the number of dimensions (1), its size, the type.
    const size_t at = bytes_.find(name) + name.size() + 4 + 8;
    ASSERT_EQ(bytes_[at], 0);
    bytes_[at] = 26;  // I32 in place of F32: as many bytes
    EXPECT_THAT(obstacle(), AllOf(HasSubstr("I32"), HasSubstr(name)));
}

}  // namespace
}  // namespace dunlin
