#include "runner/llamacpp/vocabulary.h"

#include <array>
#include <climits>
#include <exception>

#include "formats/gguf.h"
#include "llama.h"
#include "runner/llamacpp/llamacpp_log.h"

namespace dunlin {
namespace {

constexpr size_t kTextBytesMax = size_t{4} << 20;

uint8_t kind_of(llama_token_attr attributes) {
    const struct {
        int attribute;
        uint8_t kind;
    } kinds[] = {{LLAMA_TOKEN_ATTR_UNKNOWN, 2},
                 {LLAMA_TOKEN_ATTR_CONTROL, 3},
                 {LLAMA_TOKEN_ATTR_USER_DEFINED, 4},
                 {LLAMA_TOKEN_ATTR_UNUSED, 5},
                 {LLAMA_TOKEN_ATTR_BYTE, 6}};
    for (const auto& [attribute, kind] : kinds)
        if ((attributes & attribute) != 0) return kind;
    return 1;
}

class Vocabulary final : public LlamaCppVocabulary {
 public:
    explicit Vocabulary(llama_model* model)
        : model_(model), vocabulary_(llama_model_get_vocab(model)) {}
    ~Vocabulary() override { llama_model_free(model_); }
    Vocabulary(const Vocabulary&) = delete;
    Vocabulary& operator=(const Vocabulary&) = delete;

    uint32_t size() const override {
        return static_cast<uint32_t>(llama_vocab_n_tokens(vocabulary_));
    }
    TokenId bos() const override { return llama_vocab_bos(vocabulary_); }
    TokenId eos() const override { return llama_vocab_eos(vocabulary_); }

    Token token(TokenId id) const override {
        Token out{.piece = llama_vocab_get_text(vocabulary_, id),
                  .bytes = {},
                  .kind = kind_of(llama_vocab_get_attr(vocabulary_, id)),
                  .ends = llama_vocab_is_eog(vocabulary_, id)};
        std::array<char, 256> small{};
        const auto write = [&](char* to, size_t room) {
            return llama_token_to_piece(vocabulary_, id, to, static_cast<int32_t>(room), 0, false);
        };
        const int32_t size = write(small.data(), small.size());
        if (size >= 0) {
            out.bytes.assign(small.data(), static_cast<size_t>(size));
        } else {  // the length that it would have
            out.bytes.resize(static_cast<size_t>(-size));
            write(out.bytes.data(), out.bytes.size());
        }
        return out;
    }

    bool puts_space() const override {
        const auto ids = encode("x", false, false);
        return ids && !ids->empty() && token(ids->front()).bytes.starts_with(' ');
    }

    Expected<std::vector<TokenId>> encode(std::string_view utf8, bool add_special,
                                          bool parse_special) const override {
        if (utf8.size() > kTextBytesMax) return fail(Code::TooLarge, "the text is above 4 MiB");
        std::vector<TokenId> ids(utf8.size() + 4);  // what it usually needs at most
        const auto write = [&] {
            return llama_tokenize(vocabulary_, utf8.data(), static_cast<int32_t>(utf8.size()),
                                  ids.data(), static_cast<int32_t>(ids.size()), add_special,
                                  parse_special);
        };
        try {
            int32_t count = write();
            if (count < 0 && count != INT_MIN) {
                ids.resize(static_cast<size_t>(-count));
                count = write();
            }
            if (count < 0) return fail(Code::Internal, "llama.cpp cannot tokenize the text");
            ids.resize(static_cast<size_t>(count));
            return ids;
        } catch (const std::exception& thrown) {
            return fail(Code::Internal, std::string("llama.cpp cannot tokenize: ") + thrown.what());
        }
    }

 private:
    llama_model* const model_;
    const llama_vocab* const vocabulary_;
};

}  // namespace

Expected<std::unique_ptr<LlamaCppVocabulary>> load_llamacpp_vocabulary(const std::string& path) {
    // Our own reader first: the library ends the process over some broken files.
    if (const auto file = GgufFile::open(path); !file) return std::unexpected(file.error());
    start_llamacpp();
    llama_model_params params = llama_model_default_params();
    params.vocab_only = true;
    llama_model* model = nullptr;
    try {
        model = llama_model_load_from_file(path.c_str(), params);
    } catch (const std::exception&) {
        model = nullptr;
    }
    if (model == nullptr)
        return fail(Code::Unsupported, "llama.cpp cannot read the vocabulary of " + path + ": " +
                                           take_llamacpp_error());
    return std::make_unique<Vocabulary>(model);
}

}  // namespace dunlin
