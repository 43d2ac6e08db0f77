#include "app/models.h"

#include <filesystem>
#include <fstream>

#include "app/token_ids.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dunlin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ModelsTest : public testing::Test {
 protected:
    ModelsTest() {
        std::string name =
            (std::filesystem::temp_directory_path() / "dunlin_models_XXXXXX").string();
        folder_ = mkdtemp(name.data());
        settings_.models_folder = folder_.string();
        setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
    }
    ~ModelsTest() override { std::filesystem::remove_all(folder_); }

    std::string file(const std::string& name) const {
        std::ofstream(folder_ / name) << "GGUF";
        return (folder_ / name).string();
    }
    std::vector<std::string> ids() const {
        std::vector<std::string> out;
        for (const ModelEntry& entry : list_models(settings_)) out.push_back(entry.id);
        return out;
    }

    std::filesystem::path folder_;
    Settings settings_;
};

TEST_F(ModelsTest, WithoutAnythingTheDefaultIsListedAndSaysHowToGetIt) {
    EXPECT_THAT(ids(), ElementsAre("SmolLM2-135M-Instruct", "Qwen/Qwen2.5-0.5B-Instruct",
                                   "microsoft/Phi-3.5-mini-instruct"));
    const auto chosen = choose_model(settings_, "");
    ASSERT_TRUE(chosen);
    EXPECT_TRUE(chosen->path.empty());
    EXPECT_THAT(chosen->reason, HasSubstr("scripts/fetch-model"));
}

TEST_F(ModelsTest, WhatWasFetchedIsFoundBesideAFolderOfOnesOwn) {
    std::filesystem::create_directories(folder_ / "dunlin/models");
    const std::string fetched = file("dunlin/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    file("a.gguf");
    EXPECT_EQ(choose_model(settings_, "")->path, fetched);
    EXPECT_EQ(ids()[1], "a");
    settings_.models_folder.clear();
    EXPECT_EQ(choose_model(settings_, "SmolLM2-135M-Instruct")->path, fetched);
}

TEST_F(ModelsTest, TheFolderIsListedTheDefaultFirst) {
    file("b.gguf"), file("SmolLM2-135M-Instruct.Q4_1.gguf"), file("a.gguf"), file("notes.txt");
    EXPECT_THAT(ids(), ElementsAre("SmolLM2-135M-Instruct", "a", "b", "Qwen/Qwen2.5-0.5B-Instruct",
                                   "microsoft/Phi-3.5-mini-instruct"));
    EXPECT_EQ(choose_model(settings_, "b")->path, (folder_ / "b.gguf").string());
}

TEST_F(ModelsTest, OnesOwnListComesFirstAndHidesTheBuiltInNames) {
    file("a.gguf"), file("other.gguf");
    settings_.models = {{.id = "mine", .path = "/x.gguf"}, {.id = "a", .path = "/y.gguf"}};
    settings_.aliases["gpt-4"] = "a";
    EXPECT_THAT(ids(), ElementsAre("mine", "a", "other"));
    EXPECT_EQ(choose_model(settings_, "")->id, "mine");
    EXPECT_EQ(choose_model(settings_, "gpt-4")->path, "/y.gguf");
    settings_.default_model = "gpt-4";
    EXPECT_EQ(choose_model(settings_, "")->id, "a");
}

TEST_F(ModelsTest, APathIsAModelToo) {
    const std::string path = file("some.thing.gguf");
    settings_.models_folder = "/nowhere";
    const auto chosen = choose_model(settings_, path);
    ASSERT_TRUE(chosen);
    EXPECT_EQ(chosen->id, "some.thing");
    EXPECT_EQ(chosen->path, path);
    EXPECT_THAT(choose_model(settings_, folder_.string()).error().message,
                HasSubstr("is a folder"));
    EXPECT_THAT(choose_model(settings_, "nope").error().message,
                HasSubstr("listed: SmolLM2-135M-Instruct"));
}

TEST_F(ModelsTest, AModelsOwnSettingsGoBeforeTheCommonOnes) {
    settings_.native.context_tokens_max = 100;
    settings_.native.threads = 3;
    settings_.api.response_tokens_max = 7;
    settings_.models = {{.id = "a", .path = "/a", .context_tokens_max = 50},
                        {.id = "b", .path = "/b", .kv_tokens = 80}};
    const LoadSettings a = load_settings_of(settings_, {"a", "/a", ""});
    EXPECT_EQ(a.native.context_tokens_max, 50U);
    EXPECT_EQ(a.native.kv_tokens, 0U);
    EXPECT_EQ(a.native.threads, 3U);
    EXPECT_EQ(a.engine.response_tokens_max, 7U);
    const LoadSettings b = load_settings_of(settings_, {"b", "/b", ""});
    EXPECT_EQ(b.native.context_tokens_max, 100U);
    EXPECT_EQ(b.native.kv_tokens, 80U);
}

TEST_F(ModelsTest, AModelsOwnEngineGoesBeforeTheCommonOne) {
    const LoadSettings plain = load_settings_of(settings_, {"a", "/a", ""});
    EXPECT_EQ(plain.wish.engine, "auto");
    EXPECT_EQ(plain.wish.device, "auto");
    EXPECT_FALSE(plain.wish.device_layers);
    EXPECT_EQ(plain.native.kv_type, KvType::F16);

    settings_.engine_name = "llama.cpp";
    settings_.device = "cuda";
    settings_.device_layers = int64_t{5};
    settings_.kv_type = "q8_0";
    settings_.models = {{.id = "a", .path = "/a"},
                        {.id = "b",
                         .path = "/b",
                         .engine = "native",
                         .device = "cpu",
                         .kv_type = "f16",
                         .device_layers = std::string("auto")}};
    const LoadSettings same = load_settings_of(settings_, {"a", "/a", ""});
    EXPECT_EQ(same.wish.engine, "llama.cpp");
    EXPECT_EQ(same.wish.device, "cuda");
    EXPECT_EQ(same.wish.device_layers, 5U);
    EXPECT_EQ(same.native.kv_type, KvType::Int8);
    const LoadSettings own = load_settings_of(settings_, {"b", "/b", ""});
    EXPECT_EQ(own.wish.engine, "native");
    EXPECT_EQ(own.wish.device, "cpu");
    EXPECT_FALSE(own.wish.device_layers);
    EXPECT_EQ(own.native.kv_type, KvType::F16);
}

TEST(TokenIds, AreWholeNumbersBetweenCommas) {
    EXPECT_EQ(parse_token_ids("1, 2,3"), (std::vector<TokenId>{1, 2, 3}));
    for (const char* bad : {"", ",", "1,", "1,,2", "-1", "1.5", "x", "99999999999"})
        EXPECT_FALSE(parse_token_ids(bad)) << bad;
    EXPECT_EQ(to_text({1, 2}), "1,2");
}

}  // namespace
}  // namespace dunlin
