#include "app/id_tokenizer.h"

namespace dunlin {
namespace {

class IdTokenizer final : public Tokenizer {
 public:
    explicit IdTokenizer(uint32_t size) : size_(size) {}

    uint32_t size() const override { return size_; }
    TokenId bos() const override { return -1; }
    TokenId eos() const override { return -1; }
    Expected<std::vector<TokenId>> encode(std::string_view, EncodeOptions) const override {
        return fail(Code::Unsupported,
                    "this model's file has no vocabulary; give token ids instead of a text");
    }
    Expected<std::string> decode(std::span<const TokenId>) const override { return std::string(); }
    std::string_view token_bytes(TokenId) const override { return {}; }
    TokenKind token_kind(TokenId) const override { return TokenKind::Unused; }
    TokenId token_id(std::string_view) const override { return -1; }

 private:
    uint32_t size_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_id_tokenizer(uint32_t size) {
    return std::make_unique<IdTokenizer>(size);
}

}  // namespace dunlin
