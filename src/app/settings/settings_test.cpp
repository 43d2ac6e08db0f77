#include "app/settings/settings.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dunlin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Layer = Origin::Layer;

class SettingsTest : public testing::Test {
 protected:
    SettingsTest() : folder_(std::filesystem::temp_directory_path() / "dunlin_settings_XXXXXX") {
        std::string name = folder_.string();
        folder_ = mkdtemp(name.data());
    }
    ~SettingsTest() override { std::filesystem::remove_all(folder_); }

    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(folder_ / name, std::ios::binary) << text;
        return (folder_ / name).string();
    }
    /// The problems of this file, without its folder.
    std::vector<std::string> problems(const std::string& text, SettingSources sources = {}) const {
        sources.config_path = write("c.toml", text);
        const auto loaded = load_settings(sources);
        std::vector<std::string> out = loaded ? std::vector<std::string>{} : loaded.error();
        for (std::string& line : out)
            for (size_t at; (at = line.find(folder_.string() + "/")) != line.npos;)
                line.erase(at, folder_.string().size() + 1);
        return out;
    }

    std::filesystem::path folder_;
};

size_t index_of(std::string_view name) {
    const auto rows = setting_rows();
    for (size_t i = 0; i < rows.size(); ++i)
        if (rows[i].name() == name) return i;
    return rows.size();
}

TEST_F(SettingsTest, NoSourcesGiveTheDefaults) {
    const auto loaded = load_settings({});
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->settings.api.port, 3000);
    for (const Origin& origin : loaded->origins) EXPECT_EQ(origin.layer, Layer::Default);
}

TEST_F(SettingsTest, TheExampleSaysExactlyTheDefaults) {
    const auto loaded = load_settings({.config_path = write("c.toml", example_toml())});
    ASSERT_TRUE(loaded) << loaded.error().front();
    for (size_t i = 0; i < setting_rows().size(); ++i) {
        const auto& row = setting_rows()[i];
        EXPECT_EQ(loaded->origins[i].layer, Layer::File) << row.name();
        EXPECT_EQ(row.get(loaded->settings), row.get(Settings{})) << row.name();
    }
    EXPECT_TRUE(loaded->settings.models.empty());
}

TEST_F(SettingsTest, EveryRowAllowsItsDefaultAndFlagsAreUnique) {
    std::set<std::string_view> flags, names;
    for (const auto& row : setting_rows()) {
        EXPECT_TRUE(row.rule.allows(row.get(Settings{}))) << row.name();
        EXPECT_FALSE(row.text.empty() || row.text.ends_with('.')) << row.name();
        if (!row.flag.empty()) EXPECT_TRUE(flags.insert(row.flag).second) << row.flag;
        EXPECT_TRUE(names.insert(row.key).second) << row.name() << ": hints go by the last part";
    }
}

/// A value that differs from the default, for each row.
std::string other_value(const Rule& rule, const SettingValue& value) {
    switch (rule.kind) {
        case Rule::Kind::Toggle:
            return std::get<bool>(value) ? "false" : "true";
        case Rule::Kind::Integer:
            return std::to_string(value == SettingValue(rule.most) ? rule.least : rule.most);
        case Rule::Kind::Number:
            return "0.125";
        case Rule::Kind::Choice:
            return std::string(rule.choices.back() == std::get<std::string>(value)
                                   ? rule.choices.front()
                                   : rule.choices.back());
        case Rule::Kind::Device:
            return "cuda0";
        case Rule::Kind::Address:
            return "127.0.0.2";
        case Rule::Kind::HostNames:
            return "a.example,[::2]";
        case Rule::Kind::Origins:
            return "https://a.example,http://[::2]:81";
        case Rule::Kind::Names:
            return "a=b";
        case Rule::Kind::Folder:
        case Rule::Kind::File:
            return "/tmp";
        default:
            return "other";
    }
}

TEST_F(SettingsTest, EveryRowReadsWhatItShows) {
    for (const auto& row : setting_rows()) {
        Settings settings;
        const auto value = row.rule.parse(other_value(row.rule, row.get(settings)));
        ASSERT_TRUE(value && row.rule.allows(*value)) << row.name();
        row.set(settings, *value);
        EXPECT_EQ(row.get(settings), *value) << row.name();
        EXPECT_NE(row.get(settings), row.get(Settings{})) << row.name();
    }
}

TEST_F(SettingsTest, LaterLayersWin) {
    SettingSources sources{
        .config_path = write("c.toml", "[server]\nport = 1\nping_s = 2\n[limits]\nqueue_max = 3\n"),
        .environment = {{"DUNLIN_SERVER__PORT", "10"},
                        {"DUNLIN_SERVER__PING_S", "20"},
                        {"DUNLIN_ISA", "avx2"},
                        {"DUNLIN_MODELS__ALIASES", "a=SmolLM2-135M-Instruct"},
                        {"DUNLIN_SERVER__ALLOWED_HOSTS", "a.example,b.example"}},
        .flags = {{"--port", "100"}}};
    const auto loaded = load_settings(sources);
    ASSERT_TRUE(loaded) << loaded.error().front();
    EXPECT_EQ(loaded->settings.api.port, 100);
    EXPECT_EQ(loaded->settings.api.ping_s, 20U);
    EXPECT_EQ(loaded->settings.engine.queue_max, 3U);
    EXPECT_EQ(loaded->settings.aliases.at("a"), "SmolLM2-135M-Instruct");
    EXPECT_THAT(loaded->settings.api.allowed_hosts, ElementsAre("a.example", "b.example"));
    EXPECT_EQ(loaded->origins[index_of("server.port")].where, "--port");
    EXPECT_EQ(loaded->origins[index_of("server.ping_s")].where, "DUNLIN_SERVER__PING_S");
    EXPECT_EQ(loaded->origins[index_of("limits.queue_max")].where, sources.config_path + ":5");

    // What is shown reads back as the same.
    const auto again = load_settings({.config_path = write("d.toml", show_settings(*loaded))});
    ASSERT_TRUE(again) << again.error().front();
    for (const auto& row : setting_rows())
        EXPECT_EQ(row.get(again->settings), row.get(loaded->settings)) << row.name();
}

TEST_F(SettingsTest, AllProblemsAreToldAtOnceInOrder) {
    EXPECT_THAT(
        problems("[server]\nport = 70000\nprot = 1\n[sever]\n",
                 {.environment = {{"DUNLIN_LIMITS__QUEUE_MAX", "0"}, {"DUNLIN_SERVER__PROT", "1"}},
                  .flags = {{"--threads", "many"}}}),
        ElementsAre("c.toml:2: server.port: 70000 is not a whole number from 0 to 65535",
                    "c.toml:3: server.prot: there is no such setting; did you mean server.port?",
                    "c.toml:4: sever: there is no such section; did you mean server?",
                    "DUNLIN_LIMITS__QUEUE_MAX: limits.queue_max: \"0\" is not a whole number from "
                    "1 to 1000000",
                    "DUNLIN_SERVER__PROT: there is no such setting; did you mean "
                    "DUNLIN_SERVER__PORT?",
                    "--threads: models.threads: \"many\" is not a whole number from 0 to 256"));
}

TEST_F(SettingsTest, AWrongLineIsToldWhereAFlagOverridesIt) {
    EXPECT_THAT(problems("[server]\nport = -1\n", {.flags = {{"--port", "1"}}}),
                ElementsAre(HasSubstr("c.toml:2: server.port: -1 is not")));
}

TEST_F(SettingsTest, ModelsAreCheckedAndBeginAtTheFilesFolder) {
    write("good.gguf", "GGUF and more");
    write("bad.gguf", "not one");
    const auto loaded = load_settings(
        {.config_path =
             write("c.toml", "[[model]]\nid = \"a\"\npath = \"good.gguf\"\nkv_tokens = 64\n")});
    ASSERT_TRUE(loaded) << loaded.error().front();
    ASSERT_EQ(loaded->settings.models.size(), 1U);
    EXPECT_EQ(loaded->settings.models[0].path, (folder_ / "good.gguf").string());
    EXPECT_EQ(loaded->settings.models[0].kv_tokens, 64U);

    EXPECT_THAT(problems("[[model]]\nid = \"a\"\npath = \"bad.gguf\"\n"
                         "[[model]]\nid = \"a\"\npath = \"none.gguf\"\n[[model]]\npath = \".\"\n"),
                ElementsAre("c.toml:1: model.path: bad.gguf is not a GGUF file",
                            HasSubstr("c.toml:4: model.id: \"a\" is listed already, at c.toml:1"),
                            HasSubstr("c.toml:4: model.path: none.gguf: No such file"),
                            "c.toml:7: model.id: each [[model]] needs one"));
}

const std::string kHash(64, 'a'), kOtherHash(64, 'b');

std::string key_block(const std::string& name, const std::string& hash) {
    return "[[key]]\nname = \"" + name + "\"\nsha256 = \"" + hash + "\"\n";
}

TEST_F(SettingsTest, KeysAreRead) {
    const auto loaded = load_settings(
        {.config_path = write("c.toml", key_block("ann", kHash) + key_block("bob", kOtherHash) +
                                            "enabled = false\nrequests_per_minute = 7\n"
                                            "[security]\nauthentication = \"on\"\n")});
    ASSERT_TRUE(loaded) << loaded.error().front();
    const auto& keys = loaded->settings.keys;
    ASSERT_EQ(keys.size(), 2U);
    EXPECT_EQ(keys[0].name, "ann");
    EXPECT_EQ(keys[0].sha256, kHash);
    EXPECT_TRUE(keys[0].enabled);
    EXPECT_FALSE(keys[1].enabled);
    EXPECT_EQ(keys[1].requests_per_minute, 7U);
    const auto again = load_settings({.config_path = write("d.toml", show_settings(*loaded))});
    ASSERT_TRUE(again) << again.error().front();
    EXPECT_EQ(again->settings.keys.size(), 2U);
}

TEST_F(SettingsTest, KeysAreDifferentAndNeverRepeated) {
    std::string upper(64, 'A');
    EXPECT_THAT(
        problems(key_block("a", kHash) + key_block("a", kOtherHash) + key_block("b", upper)),
        ElementsAre(HasSubstr("c.toml:4: key.name: \"a\" is listed already, at c.toml:1"),
                    HasSubstr("c.toml:7: key.sha256: it is that of the key at c.toml:1")));
    // Somebody may write the key itself where its hash belongs, or in a place that is none.
    for (const char* text : {"[[key]]\nname = \"a\"\nsha256 = \"dl-secret\"\n",
                             "key = \"dl-secret\"\n", "key = [\"dl-secret\"]\n",
                             "[[key]]\nkey = \"dl-secret\"\n", "[key]\nsha256 = \"dl-secret\"\n"}) {
        const auto found = problems(text);
        ASSERT_FALSE(found.empty()) << text;
        for (const auto& line : found) EXPECT_EQ(line.find("secret"), line.npos) << line;
    }
    EXPECT_THAT(problems("[[key]]\nname = \"a\"\nsha256 = \"dl-secret\"\n"),
                ElementsAre("c.toml:3: key.sha256: this is not 64 hexadecimal digits, as dunlin "
                            "keys new and dunlin keys hash print them"));
}

TEST_F(SettingsTest, AuthenticationAgreesWithTheKeys) {
    const std::string keys = key_block("a", kHash);
    EXPECT_THAT(problems("[security]\nauthentication = \"on\"\n"),
                ElementsAre(HasSubstr("c.toml:2: security.authentication: it is on, and no key")));
    EXPECT_THAT(problems("[security]\nauthentication = \"off\"\n" + keys),
                ElementsAre(HasSubstr("c.toml:2: security.authentication: it is off, and keys")));
    EXPECT_THAT(problems("[security]\nauthentication = \"off\"\n"), ElementsAre());
    EXPECT_THAT(problems(keys), ElementsAre());
    // With a key the network is no surprise; with one that is wrong only that is said.
    EXPECT_THAT(problems("[server]\nhost = \"0.0.0.0\"\n" + keys), ElementsAre());
    EXPECT_THAT(problems("[server]\nhost = \"0.0.0.0\"\n" + key_block("a", "")),
                ElementsAre(HasSubstr("key.sha256")));
}

TEST_F(SettingsTest, DevicesAreKindsOrNames) {
    for (const char* device : {"auto", "cpu", "cuda", "rocm", "vulkan", "metal", "cuda0", "rocm12"})
        EXPECT_TRUE(load_settings({.flags = {{"--device", device}}})) << device;
    for (const char* device : {"", "gpu", "cpu0", "auto1", "CUDA", "cuda-0", "cuda0x", "cuda1234"})
        EXPECT_FALSE(load_settings({.flags = {{"--device", device}}})) << device;
}

TEST_F(SettingsTest, LayersAreANumberOrAWord) {
    const auto layers = [](const char* text) {
        return load_settings({.flags = {{"--device-layers", text}}});
    };
    EXPECT_EQ(layers("auto")->settings.device_layers, SettingValue(std::string("auto")));
    EXPECT_EQ(layers("0")->settings.device_layers, SettingValue(int64_t{0}));
    for (const char* text : {"", "-1", "1001", "all", "same"}) EXPECT_FALSE(layers(text)) << text;
    EXPECT_THAT(problems("[models]\ndevice_layers = \"7\"\n"),
                ElementsAre("c.toml:2: models.device_layers: \"7\" is not \"auto\", or a whole "
                            "number from 0 to 1000; write 7"));
}

TEST_F(SettingsTest, NamesMustBeListed) {
    EXPECT_THAT(problems("[models]\ndefault = \"nobody\"\naliases = { a = \"nobody\" }\n"),
                ElementsAre(HasSubstr("c.toml:2: models.default: no model \"nobody\" is listed"),
                            HasSubstr("c.toml:3: models.aliases: \"a\" means \"nobody\"")));
}

TEST_F(SettingsTest, ANetworkNeedsAWord) {
    for (const char* host : {"0.0.0.0", "::", "192.168.0.1", "::ffff:127.0.0.1"}) {
        SettingSources sources{.flags = {{"--host", host}}};
        EXPECT_FALSE(load_settings(sources)) << host;
        sources.flags.emplace_back("--allow-unauthenticated-network", "true");
        EXPECT_TRUE(load_settings(sources)) << host;
    }
    for (const char* host : {"127.0.0.1", "127.1.2.3", "localhost", "::1"})
        EXPECT_TRUE(load_settings({.flags = {{"--host", host}}}));
}

TEST(Rule, IntegersAreWholeAndInRange) {
    const Rule rule{.kind = Rule::Kind::Integer, .least = 1, .most = 9};
    for (const char* text :
         {"", " 1", "1 ", "+1", "0x1", "1.0", "1e0", "99999999999999999999", "-"})
        EXPECT_FALSE(rule.parse(text)) << text;
    EXPECT_TRUE(rule.allows(*rule.parse("1")) && rule.allows(*rule.parse("9")));
    EXPECT_FALSE(rule.allows(*rule.parse("0")) || rule.allows(*rule.parse("10")));
    EXPECT_FALSE(rule.allows(true) || rule.allows("1"));
}

TEST(Rule, NumbersAreFiniteAndInRange) {
    const Rule rule{.kind = Rule::Kind::Number, .least = 0, .most = 2};
    for (const char* text : {"", "x", "1,5", "0x1p0", "1.5 "})
        EXPECT_FALSE(rule.parse(text)) << text;
    for (const char* text : {"nan", "inf", "-0.1", "2.01"})
        EXPECT_FALSE(rule.allows(*rule.parse(text))) << text;
    EXPECT_TRUE(rule.allows(*rule.parse("0.97")) && rule.allows(*rule.parse("2")));
    EXPECT_EQ(toml_literal(0.97), "0.97");
    EXPECT_EQ(toml_literal(2.0), "2.0");
}

TEST(Rule, HostNamesHaveNoPortsAndNoSchemes) {
    const Rule rule{.kind = Rule::Kind::HostNames};
    for (const char* bad : {"a:1", "http://a", "a b", ""})
        EXPECT_FALSE(rule.allows(std::vector<std::string>{bad})) << bad;
    EXPECT_TRUE(rule.allows(std::vector<std::string>{"a.example", "[::1]", "x-1"}));
}

TEST(Rule, OriginsAreWhatBrowsersSend) {
    const Rule rule{.kind = Rule::Kind::Origins};
    for (const char* bad : {"*",
                            "null",
                            "",
                            "a.example",
                            "https://",
                            "https://a.example/",
                            "https://a.example/x",
                            "https://A.example",
                            "HTTPS://a.example",
                            "https://a.example:443",
                            "http://a.example:80",
                            "https://a.example:",
                            "https://a.example:0",
                            "https://a.example:08",
                            "https://a.example:123456",
                            "https://*.example",
                            "https://u@a.example",
                            "https://a.example?x",
                            "https://[::1",
                            "https://[zz]",
                            "://a",
                            "https://a b"})
        EXPECT_FALSE(rule.allows(std::vector<std::string>{bad})) << bad;
    for (const char* good : {"https://a.example", "http://localhost:5173", "http://127.0.0.1:8080",
                             "http://[::1]:3000", "http://[::1]", "https://a.example:80",
                             "chrome-extension://abcdefghijklmnop", "tauri://localhost"})
        EXPECT_TRUE(rule.allows(std::vector<std::string>{good})) << good;
}

TEST(Nearest, IsNearOrNothing) {
    const std::vector<std::string> names{"server", "models", "limits"};
    EXPECT_EQ(nearest("sever", names), "server");
    EXPECT_EQ(nearest("limts", names), "limits");
    EXPECT_EQ(nearest("observability", names), "");
    EXPECT_EQ(nearest(std::string(100000, 'a'), names), "");
}

}  // namespace
}  // namespace dunlin
