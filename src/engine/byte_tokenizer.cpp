#include "engine/byte_tokenizer.h"

#include <array>

namespace dunlin {
namespace {

constexpr auto kBytes = [] {
    std::array<char, 256> bytes{};
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i);
    return bytes;
}();

class ByteTokenizer final : public Tokenizer {
 public:
    uint32_t size() const override { return kByteTokenizerSize; }
    TokenId bos() const override { return -1; }
    TokenId eos() const override { return kByteTokenizerEnd; }
    Expected<std::vector<TokenId>> encode(std::string_view utf8, EncodeOptions) const override {
        std::vector<TokenId> ids;
        for (const char c : utf8) ids.push_back(static_cast<unsigned char>(c));
        return ids;
    }
    std::string_view token_bytes(TokenId id) const override {
        return id < kByteTokenizerEnd ? std::string_view(&kBytes[static_cast<size_t>(id)], 1)
                                      : std::string_view();
    }
    TokenKind token_kind(TokenId id) const override {
        return id == kByteTokenizerEnd ? TokenKind::Control : TokenKind::Byte;
    }
    TokenId token_id(std::string_view piece) const override {
        return piece == "<end>" ? kByteTokenizerEnd : -1;
    }
};

}  // namespace

std::unique_ptr<Tokenizer> make_byte_tokenizer() {
    return std::make_unique<ByteTokenizer>();
}

}  // namespace dunlin
