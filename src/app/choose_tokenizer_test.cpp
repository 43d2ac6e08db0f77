#include "app/choose_tokenizer.h"

#include <gtest/gtest.h>

#include "engine/byte_tokenizer.h"

namespace dunlin {
namespace {

/// Tokens are bytes, but for one of them another number.
class Other final : public Tokenizer {
 public:
    uint32_t size() const override { return bytes_->size(); }
    TokenId bos() const override { return bytes_->bos(); }
    TokenId eos() const override { return bytes_->eos(); }
    Expected<std::vector<TokenId>> encode(std::string_view text,
                                          EncodeOptions options) const override {
        auto ids = bytes_->encode(text, options);
        for (TokenId& id : *ids)
            if (id == '4') id = '5';
        return ids;
    }
    std::string_view token_bytes(TokenId id) const override { return bytes_->token_bytes(id); }
    TokenKind token_kind(TokenId id) const override { return bytes_->token_kind(id); }
    TokenId token_id(std::string_view piece) const override { return bytes_->token_id(piece); }

 private:
    const std::unique_ptr<Tokenizer> bytes_ = make_byte_tokenizer();
};

std::shared_ptr<const Tokenizer> bytes() {
    return make_byte_tokenizer();
}

TEST(ChooseTokenizer, OursWhereTheyAgree) {
    const auto ours = bytes();
    const auto chosen =
        choose_tokenizer("m", ours, nullptr, [] { return ModelVocabulary{bytes(), {7}}; });
    ASSERT_TRUE(chosen);
    EXPECT_EQ(chosen->tokenizer, ours);
    EXPECT_EQ(chosen->end_tokens, std::vector<TokenId>{7});
}

TEST(ChooseTokenizer, TheLibrarysWhereTheyDiffer) {
    const auto library = bytes();
    const auto chosen =
        choose_tokenizer("m", Expected<std::shared_ptr<const Tokenizer>>(std::make_shared<Other>()),
                         nullptr, [&] { return ModelVocabulary{library}; });
    ASSERT_TRUE(chosen);
    EXPECT_EQ(chosen->tokenizer, library);
}

TEST(ChooseTokenizer, TheLibrarysWhereThereIsNoneOfOurs) {
    const auto library = bytes();
    const auto chosen = choose_tokenizer("m", fail(Code::Unsupported, "unknown kind"), nullptr,
                                         [&] { return ModelVocabulary{library}; });
    ASSERT_TRUE(chosen);
    EXPECT_EQ(chosen->tokenizer, library);
}

TEST(ChooseTokenizer, OursWhereTheLibrarysCannotBeHad) {
    const auto none = [] { return Expected<ModelVocabulary>(fail(Code::DeviceLost, "it ended")); };
    const auto ours = bytes();
    const auto chosen = choose_tokenizer("m", ours, nullptr, none);
    ASSERT_TRUE(chosen);
    EXPECT_EQ(chosen->tokenizer, ours);
    const auto neither =
        choose_tokenizer("m", fail(Code::Unsupported, "unknown kind"), nullptr, none);
    ASSERT_FALSE(neither);
    EXPECT_EQ(neither.error().message, "unknown kind");
}

TEST(ChooseTokenizer, ComparesTheModelsOwnConversation) {
    const auto chat = chat_template_from_source("{{ messages[0].content }}", "", "");
    ASSERT_TRUE(chat);
    EXPECT_EQ(tokenizer_difference(*bytes(), *bytes(), chat->get()), std::nullopt);
    const auto difference = tokenizer_difference(Other(), *bytes(), chat->get());
    ASSERT_TRUE(difference);
    EXPECT_NE(difference->find("others in llama.cpp"), std::string::npos) << *difference;
}

}  // namespace
}  // namespace dunlin
