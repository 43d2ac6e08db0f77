// Tokenizers and chat templates against what tokenizers, transformers and sentencepiece gave
// (text_oracle.py), and against the ids that llama.cpp publishes with its vocabularies, which come
// from transformers as well. Ends with load times and memory.
//
// usage: text_truth_test GOLDEN_FOLDER TEXT_DATA DEFAULT_MODEL.gguf

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "formats/gguf.h"
#include "golden/golden.h"
#include "gtest/gtest.h"
#include "json/json.h"
#include "registry/gguf_text.h"

namespace dunlin {
namespace {

std::string golden_folder, data_folder, default_model;
constexpr int64_t kNow = 1'700'000'000;

Json golden(const std::string& name) {
    return read_golden(golden_folder + "/" + name);
}

const Json::Array& rows(const Json& json, std::string_view key) {
    const Json* found = json.find(key);
    EXPECT_TRUE(found != nullptr && found->array() != nullptr) << key;
    return *found->array();
}

std::unique_ptr<GgufFile> open(const std::string& path) {
    auto file = GgufFile::open(path);
    EXPECT_TRUE(file) << file.error().message;
    return std::move(*file);
}

std::string vocabulary_path(const std::string& name) {
    return data_folder + "/llama.cpp/ggml-vocab-" + name + ".gguf";
}

void expect_ids(const Tokenizer& tokenizer, const std::string& text,
                const std::vector<TokenId>& expected, bool parse_special) {
    const auto found = tokenizer.encode(text, {.parse_special = parse_special});
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(*found, expected) << text.substr(0, 80);
}

double resident_mb() {
    std::ifstream file("/proc/self/statm");
    double all = 0;
    double resident = 0;
    file >> all >> resident;
    return resident * 4096 / 1e6;
}

template <typename Load>
auto measured(const std::string& name, Load load) {
    const double before = resident_mb();
    const auto start = std::chrono::steady_clock::now();
    auto made = load();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("%s: loaded in %.3f s, resident memory +%.0f MB\n", name.c_str(), took.count(),
                resident_mb() - before);
    return made;
}

std::shared_ptr<const Tokenizer> qwen() {
    auto made = tokenizer_from_json(contents(data_folder + "/qwen2.5/tokenizer.json"),
                                    contents(data_folder + "/qwen2.5/tokenizer_config.json"));
    EXPECT_TRUE(made) << made.error().message;
    return made ? std::shared_ptr<const Tokenizer>(std::move(*made)) : nullptr;
}

// A file whose pre-tokenizer nobody here knows, with its publisher's tokenizer beside it.
TEST(TextTruth, ATokenizerBesideTheFile) {
    const std::filesystem::path folder = testing::TempDir() + "beside_" + std::to_string(getpid());
    std::filesystem::create_directory(folder);
    const auto file_path = folder / "model.gguf";
    std::string bytes = contents(vocabulary_path("qwen2"));
    const std::string key = "tokenizer.ggml.pre";
    bytes.replace(bytes.find("qwen2", bytes.find(key)), 5, "qwenX");
    std::ofstream(file_path, std::ios::binary) << bytes;
    const auto file = open(file_path);
    const auto unknown = tokenizer_from_gguf(*file);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Code::Unsupported);
    EXPECT_EQ(tokenizer_beside(file_path, *file).value_or(qwen()), nullptr);

    std::filesystem::copy(data_folder + "/qwen2.5/tokenizer.json", folder / "tokenizer.json");
    const auto beside = tokenizer_beside(file_path, *file);
    ASSERT_TRUE(beside && *beside != nullptr) << beside.error().message;
    expect_ids(**beside, "Hello, world! 2026", *qwen()->encode("Hello, world! 2026", {}), false);

    const auto other = open(vocabulary_path("llama-bpe"));
    EXPECT_EQ(tokenizer_beside(file_path, *other).error().message,
              "the tokenizer.json beside the file is another model's");
    std::filesystem::remove_all(folder);
}

TEST(TextTruth, TheDefaultModel) {
    const auto file = open(default_model);
    const auto tokenizer =
        measured("SmolLM2, from GGUF", [&] { return tokenizer_from_gguf(*file); });
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    const auto chat = chat_template_from_gguf(*file);
    ASSERT_TRUE(chat && *chat);
    const Json expected = golden("smollm2_text.json");
    for (const Json& row : rows(expected, "ids"))
        expect_ids(**tokenizer, *(*row.array())[0].string(), ids((*row.array())[1]), true);
    size_t prompts = 0;
    for (const char* key : {"prompts", "rendered"}) {
        for (const Json& row : rows(expected, key)) {
            const Json::Array& parts = *row.array();
            const auto text = (*chat)->render(*write_json(parts[0]), kNow);
            ASSERT_TRUE(text) << text.error().message;
            EXPECT_EQ(*text, *parts[1].string());
            if (parts.size() < 3) continue;
            expect_ids(**tokenizer, *text, ids(parts[2]), true);
            ++prompts;
        }
    }
    EXPECT_EQ(prompts, 20U);
}

TEST(TextTruth, QwensTokenizerJson) {
    const auto from_json = measured("Qwen2.5, from tokenizer.json", qwen);
    ASSERT_TRUE(from_json);
    const auto file = open(vocabulary_path("qwen2"));
    const auto from_gguf = measured("Qwen2, from GGUF", [&] { return tokenizer_from_gguf(*file); });
    ASSERT_TRUE(from_gguf) << from_gguf.error().message;
    const Json expected = golden("qwen2_5_text.json");
    for (const Json& row : rows(expected, "ids")) {
        const std::string& text = *(*row.array())[0].string();
        const auto wanted = ids((*row.array())[1]);
        expect_ids(*from_json, text, wanted, true);
        expect_ids(**from_gguf, text, wanted, true);
    }
}

TEST(TextTruth, SentencePieceFromGguf) {
    const auto file = open(vocabulary_path("llama-spm"));
    const auto tokenizer = tokenizer_from_gguf(*file);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    const Tokenizer& t = **tokenizer;
    const Json expected = golden("sentencepiece_text.json");
    for (const Json& row : rows(expected, "ids")) {
        const std::string& text = *(*row.array())[0].string();
        expect_ids(t, text, ids((*row.array())[1]), false);
        EXPECT_EQ(*t.decode(*t.encode(text, {})), text);
    }
    using Ids = std::vector<TokenId>;
    EXPECT_EQ(*t.encode("Hello", {.add_special = true}), (Ids{1, 15043}));  // the file's add_bos
    EXPECT_EQ(*t.encode("\x01", {}), (Ids{29871, 4}));                      // a byte of its own
    EXPECT_EQ(*t.encode("<s>", {.parse_special = true}), Ids{1});
    EXPECT_GT(t.encode("<s>", {})->size(), 1U);
    EXPECT_TRUE(t.strips_leading_space());
    EXPECT_EQ(t.token_kind(0), TokenKind::Unknown);
    EXPECT_EQ(t.token_bytes(4), "\x01");
}

class Vocabulary : public testing::TestWithParam<const char*> {};

TEST_P(Vocabulary, GivesThePublishedIds) {
    const std::string path = vocabulary_path(GetParam());
    const auto file = open(path);
    const auto tokenizer = tokenizer_from_gguf(*file);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    constexpr std::string_view kBetween = "\n__ggml_vocab_test__\n";
    const std::string inputs = contents(path + ".inp");
    std::istringstream outputs(contents(path + ".out"));
    size_t count = 0;
    size_t begin = 0;
    for (std::string line; std::getline(outputs, line); ++count) {
        const size_t end = std::min(inputs.find(kBetween, begin), inputs.size());
        std::istringstream numbers(line);
        std::vector<TokenId> expected;
        for (TokenId id = 0; numbers >> id;) expected.push_back(id);
        expect_ids(**tokenizer, inputs.substr(begin, end - begin), expected, false);
        begin = std::min(end + kBetween.size(), inputs.size());
    }
    EXPECT_GE(count, 40U);
}

INSTANTIATE_TEST_SUITE_P(TextTruth, Vocabulary,
                         testing::Values("llama-spm", "phi-3", "gemma-4", "gpt-2", "mpt",
                                         "starcoder", "refact", "command-r", "falcon", "llama-bpe",
                                         "qwen2", "qwen35", "deepseek-coder", "deepseek-llm"));

TEST(TextTruth, OtherKindsOfVocabularyAreRefusedByName) {
    for (const auto& [name, kind] : {std::pair{"bert-bge", "'bert'"}, {"nomic-bert-moe", "'t5'"}}) {
        const auto file = open(vocabulary_path(name));
        const auto tokenizer = tokenizer_from_gguf(*file);
        ASSERT_FALSE(tokenizer);
        EXPECT_EQ(tokenizer.error().code, Code::Unsupported);
        EXPECT_NE(tokenizer.error().message.find(kind), std::string::npos);
    }
}

/// As text_oracle.py's: FNV-1a of 64 bits, and the length.
std::string fingerprint(const std::string& text) {
    uint64_t value = 0xcbf29ce484222325;
    for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    std::array<char, 32> out{};
    std::snprintf(out.data(), out.size(), "%016llx", static_cast<unsigned long long>(value));
    return std::string(out.data()) + " " + std::to_string(text.size());
}

/// The long conversation of text_oracle.py, with and without its system message.
std::vector<std::string> long_contexts(const Json& expected) {
    const Json& recipe = rows(expected, "long")[0];
    const std::string words = *recipe.find("words")->string();
    std::string text;
    for (double n = recipe.find("repetitions")->number(); n > 0; --n) text += words;
    Json::Array messages;
    const auto add = [&](const char* role, const std::string& content) {
        Json message = Json::Object();
        message.set("role", role);
        message.set("content", content);
        messages.push_back(std::move(message));
    };
    add("system", words);
    for (int at = 0; at < static_cast<int>(recipe.find("messages")->number()) - 1; ++at)
        add(at % 2 == 0 ? "user" : "assistant", text);
    std::vector<std::string> out;
    for (int without = 0; without < 2; ++without) {
        Json context = Json::Object();
        context.set("tools", nullptr);
        context.set("documents", nullptr);
        context.set("add_generation_prompt", true);
        context.set("messages", Json::Array(messages.begin() + without, messages.end()));
        out.push_back(*write_json(context));
    }
    return out;
}

std::string outcome(const std::string& source, const std::string& context) {
    const auto made = chat_template_from_source(source, "<s>", "</s>");
    if (!made) return made.error().message;
    const auto text = (*made)->render(context, kNow);
    if (text) return fingerprint(*text);
    return text.error().code == Code::Invalid ? "<the template refuses the conversation>"
                                              : text.error().message;
}

/// This template marks its own words as safe HTML, and Python then writes the tool's description
/// with entities ("&lt;now&gt;"), which no model should read. Here text stays text.
bool is_exception(const std::string& name, size_t conversation) {
    return name == "meetkai-functionary-medium-v3.1.jinja" && conversation == 6;
}

TEST(TextTruth, PublishedTemplatesRenderAsTransformersDoes) {
    const Json expected = golden("templates_text.json");
    std::vector<std::string> contexts;
    for (const Json& context : rows(expected, "contexts")) contexts.push_back(*write_json(context));
    const auto longs = long_contexts(expected);
    size_t equal = 0;
    size_t without_answer = 0;
    for (const Json& row : rows(expected, "rendered")) {
        const Json::Array& parts = *row.array();
        const std::string source = contents(data_folder + "/llama.cpp/" + *parts[0].string());
        for (size_t at = 1; at < parts.size(); ++at) {
            const std::string& wanted = *parts[at].string();
            if (wanted.starts_with("<Python itself")) {
                ++without_answer;
                continue;
            }
            const bool is_long = at > contexts.size();
            std::string found = outcome(source, is_long ? longs[0] : contexts[at - 1]);
            if (is_long && found != wanted) found = outcome(source, longs[1]);
            if (is_exception(*parts[0].string(), at)) {
                EXPECT_NE(found, wanted) << "no exception any more";
                continue;
            }
            EXPECT_EQ(found, wanted) << *parts[0].string() << ", conversation " << at;
            equal += found == wanted ? 1 : 0;
        }
    }
    std::printf("%zu renderings of %zu templates are equal; for %zu more Python itself fails\n",
                equal, rows(expected, "rendered").size(), without_answer);
    EXPECT_GE(equal, 450U);
}

}  // namespace
}  // namespace dunlin

int main(int count, char** arguments) {
    testing::InitGoogleTest(&count, arguments);
    if (count != 4) {
        std::fprintf(stderr, "usage: text_truth_test GOLDEN_FOLDER TEXT_DATA DEFAULT_MODEL.gguf\n");
        return 2;
    }
    dunlin::golden_folder = arguments[1];
    dunlin::data_folder = arguments[2];
    dunlin::default_model = arguments[3];
    return RUN_ALL_TESTS();
}
