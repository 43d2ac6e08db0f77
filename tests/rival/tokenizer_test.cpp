// Our tokenizers against llama.cpp's on published vocabularies. Where they agree at load, ours is
// used; where not, the library's. Argument: the folder that tests/golden/fetch_text_data.py names.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "app/choose_tokenizer.h"
#include "app/hosted_service.h"
#include "registry/gguf_text.h"

namespace dunlin {
namespace {

std::filesystem::path data_folder;

std::filesystem::path vocabulary(const std::string& name) {
    return data_folder / "llama.cpp" / ("ggml-vocab-" + name + ".gguf");
}

Expected<std::shared_ptr<const Tokenizer>> own(const std::string& name) {
    const auto file = GgufFile::open(vocabulary(name));
    if (!file) return std::unexpected(file.error());
    return tokenizer_from_gguf(**file);
}

template <class T>
T unwrap(Expected<T> given) {
    EXPECT_TRUE(given) << given.error().message;
    return given ? std::move(*given) : T();
}

class PublishedVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(PublishedVocabulary, IsReadTheSame) {
    const auto ours = own(GetParam());
    const auto library = hosted_vocabulary(vocabulary(GetParam()));
    ASSERT_TRUE(ours) << ours.error().message;
    ASSERT_TRUE(library) << library.error().message;
    EXPECT_EQ(tokenizer_difference(**ours, *library->tokenizer, nullptr).value_or("none"), "none");
    EXPECT_EQ((*ours)->bos(), library->tokenizer->bos());
    EXPECT_EQ((*ours)->eos(), library->tokenizer->eos());
    EXPECT_EQ((*ours)->strips_leading_space(), library->tokenizer->strips_leading_space());
}

INSTANTIATE_TEST_SUITE_P(, PublishedVocabulary,
                         testing::Values("baichuan", "command-r", "deepseek-coder", "deepseek-llm",
                                         "falcon", "gemma-4", "gpt-2", "llama-bpe", "llama-spm",
                                         "mpt", "phi-3", "qwen2", "qwen35", "refact", "starcoder"),
                         [](const auto& name) {
                             std::string out = name.param;
                             for (char& c : out)
                                 if (c == '-') c = '_';
                             return out;
                         });

// A kind that ours does not know is read by the library, in both directions.
TEST(LibraryTokenizer, TakesThePlaceOfNone) {
    const auto ours = own("bert-bge");
    ASSERT_FALSE(ours);
    EXPECT_EQ(ours.error().code, Code::Unsupported);
    const auto chosen = choose_tokenizer("bge", ours, nullptr,
                                         [] { return hosted_vocabulary(vocabulary("bert-bge")); });
    ASSERT_TRUE(chosen) << chosen.error().message;
    const auto ids = chosen->tokenizer->encode("hello world", {});
    ASSERT_TRUE(ids) << ids.error().message;
    ASSERT_EQ(ids->size(), 2U);
    EXPECT_EQ(chosen->tokenizer->token_id("[CLS]"), chosen->tokenizer->bos());
    EXPECT_EQ(unwrap(chosen->tokenizer->decode(*ids)), "hello world");
}

// One that splits otherwise gives way, and the tokens are the library's from then on.
TEST(LibraryTokenizer, TakesThePlaceOfOneThatDiffers) {
    const auto right = own("qwen2");
    const auto chosen = choose_tokenizer("qwen2", own("gpt-2"), nullptr,
                                         [] { return hosted_vocabulary(vocabulary("qwen2")); });
    ASSERT_TRUE(right && chosen);
    EXPECT_EQ(unwrap(chosen->tokenizer->encode("Hello, world!", {})),
              unwrap((*right)->encode("Hello, world!", {})));
    EXPECT_FALSE(chosen->end_tokens.empty());
}

TEST(LibraryTokenizer, WhoseProcessEndsIsStartedAgain) {
    const auto library = hosted_vocabulary(vocabulary("qwen2"));
    ASSERT_TRUE(library) << library.error().message;
    const auto before = unwrap(library->tokenizer->encode("Hello, world!", {}));
    pid_t pid = 0;
    ASSERT_TRUE(std::ifstream("/proc/thread-self/children") >> pid);
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    siginfo_t ended{};
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(unwrap(library->tokenizer->encode("Hello, world!", {})), before);
}

TEST(LibraryTokenizer, SaysWhatIsWrongWithAFile) {
    const auto library = hosted_vocabulary(data_folder / "none.gguf");
    ASSERT_FALSE(library);
    EXPECT_NE(library.error().message.find("none.gguf"), std::string::npos);
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
    if (argc == 2 && argv[1] == dunlin::kHostService) return dunlin::host_service_of_parent();
    testing::InitGoogleTest(&argc, argv);
    if (argc != 2) return std::fprintf(stderr, "usage: tokenizer_test DATA_FOLDER\n"), 2;
    dunlin::data_folder = argv[1];
    return RUN_ALL_TESTS();
}
