#include "registry/local_registry.h"

#include <future>

#include <gtest/gtest.h>

namespace dunlin {
namespace {

RegistrySettings settings_with(const std::string& too_large) {
    RegistrySettings settings;
    settings.models = {{"m", "file", ""}, {"away", "", "fetch it first"}};
    settings.default_model = "m";
    settings.aliases["other"] = "m";
    settings.inspect = [=](const ModelEntry&) {
        ModelFacts facts;
        facts.too_large = too_large;
        return facts;
    };
    return settings;
}

Error acquire_error(Registry& registry, const char* id) {
    std::promise<Error> error;
    registry.acquire(id, [&](Expected<std::shared_ptr<Engine>> engine) {
        error.set_value(engine ? Error{} : engine.error());
    });
    return error.get_future().get();
}

TEST(LocalRegistry, RefusesWhatCannotBeLoaded) {
    Metrics metrics;
    const auto registry = make_registry(settings_with("the file is larger than all there is"),
                                        system_clock(), metrics);
    const auto info = registry->find("m");
    EXPECT_EQ(info->state, ModelState::OnDisk);
    EXPECT_EQ(info->reason, "the file is larger than all there is");
    EXPECT_EQ(acquire_error(*registry, "m").code, Code::OutOfMemory);
    EXPECT_EQ(acquire_error(*registry, "m").message, info->reason);
    EXPECT_EQ(acquire_error(*registry, "away").code, Code::NotReady);
    EXPECT_EQ(acquire_error(*registry, "away").message, "fetch it first");
    EXPECT_EQ(acquire_error(*registry, "none").code, Code::ModelNotFound);
    EXPECT_EQ(*registry->resolve("other"), "m");
    EXPECT_EQ(*registry->resolve(""), "m");
}

TEST(LocalRegistry, RemembersAFailedLoadAndTriesAgain) {
    Metrics metrics;
    auto settings = settings_with("");
    int tries = 0;
    settings.load = [&](const ModelEntry&) -> Expected<LoadedModel> {
        return fail(Code::Unsupported, "try " + std::to_string(++tries));
    };
    const auto registry = make_registry(std::move(settings), system_clock(), metrics);
    EXPECT_TRUE(registry->find("m")->reason.empty());
    for (int i = 1; i < 4; ++i) {
        const std::string why = "the model 'm' cannot be loaded: try " + std::to_string(i);
        const Error error = acquire_error(*registry, "m");
        EXPECT_EQ(error.message, why);
        EXPECT_EQ(error.code, Code::Corrupt);
        EXPECT_EQ(registry->find("m")->state, ModelState::Failed);
        EXPECT_EQ(registry->find("m")->reason, why);
    }
    registry->drain(0);
    EXPECT_EQ(acquire_error(*registry, "m").code, Code::NotReady);
}

}  // namespace
}  // namespace dunlin
