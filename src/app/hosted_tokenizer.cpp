// A question is a letter and what belongs to it: "v" asks for the whole vocabulary, "t" with a
// digit of flags and a text for the tokens of the text. Numbers in answers are as they lie in
// memory, for both sides are the same program.
#include "app/hosted_tokenizer.h"

#include <cstring>
#include <unordered_map>

#include "app/hosted_service.h"
#include "runner/llamacpp/vocabulary.h"

namespace dunlin {
namespace {

constexpr uint32_t kVocabularyPatienceMs = 120'000;
constexpr char kAddSpecial = 1, kParseSpecial = 2;

struct About {
    uint32_t size = 0;
    TokenId bos = -1, eos = -1;
    bool puts_space = false;
};
struct AboutToken {
    uint32_t piece_bytes = 0, text_bytes = 0;
    uint8_t kind = 1;
    bool ends = false;
};

template <class T>
void append(std::string& text, const T& value) {
    text.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Takes values off the front of an answer.
class Reader {
 public:
    explicit Reader(std::string_view text) : rest_(text) {}
    template <class T>
    bool take(T& value) {
        std::string_view bytes;
        if (!take(sizeof value, bytes)) return false;
        bytes.copy(reinterpret_cast<char*>(&value), sizeof value);
        return true;
    }
    bool take(size_t count, std::string_view& bytes) {
        if (count > rest_.size()) return false;
        bytes = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return true;
    }

 private:
    std::string_view rest_;
};

std::string write_vocabulary(const LlamaCppVocabulary& vocabulary) {
    std::string out;
    append(out,
           About{vocabulary.size(), vocabulary.bos(), vocabulary.eos(), vocabulary.puts_space()});
    for (uint32_t id = 0; id < vocabulary.size(); ++id) {
        const auto token = vocabulary.token(static_cast<TokenId>(id));
        append(out, AboutToken{static_cast<uint32_t>(token.piece.size()),
                               static_cast<uint32_t>(token.bytes.size()), token.kind, token.ends});
        out += token.piece;
        out += token.bytes;
    }
    return out;
}

class HostedTokenizer final : public Tokenizer {
 public:
    /// Null where the answer makes no sense.
    static std::shared_ptr<HostedTokenizer> read(std::string vocabulary,
                                                 std::unique_ptr<Service> service) {
        auto made = std::make_shared<HostedTokenizer>(std::move(vocabulary), std::move(service));
        return made->read_tokens() ? made : nullptr;
    }
    HostedTokenizer(std::string vocabulary, std::unique_ptr<Service> service)
        : text_(std::move(vocabulary)), service_(std::move(service)) {}

    uint32_t size() const override { return about_.size; }
    TokenId bos() const override { return about_.bos; }
    TokenId eos() const override { return about_.eos; }
    bool strips_leading_space() const override { return about_.puts_space; }

    Expected<std::vector<TokenId>> encode(std::string_view utf8,
                                          EncodeOptions options) const override {
        std::string question = "t";
        question += static_cast<char>((options.add_special ? kAddSpecial : 0) |
                                      (options.parse_special ? kParseSpecial : 0));
        question += utf8;
        const auto answer = service_->ask(question);
        if (!answer) return std::unexpected(answer.error());
        std::vector<TokenId> ids(answer->size() / sizeof(TokenId));
        if (!ids.empty()) std::memcpy(ids.data(), answer->data(), ids.size() * sizeof(TokenId));
        for (const TokenId id : ids)
            if (id < 0 || static_cast<uint32_t>(id) >= size())
                return fail(Code::Internal, "llama.cpp gave a token that there is not");
        return ids;
    }
    std::string_view token_bytes(TokenId id) const override { return at(id).text; }
    TokenKind token_kind(TokenId id) const override {
        return static_cast<TokenKind>(at(id).kind - 1);
    }
    TokenId token_id(std::string_view piece) const override {
        const auto found = ids_.find(piece);
        return found == ids_.end() ? -1 : found->second;
    }
    const std::vector<TokenId>& end_tokens() const { return end_tokens_; }

 private:
    struct Token {
        std::string_view text;
        uint8_t kind;
    };
    const Token& at(TokenId id) const { return tokens_[static_cast<size_t>(id)]; }

    bool read_tokens() {
        Reader reader(text_);
        if (!reader.take(about_)) return false;
        for (uint32_t id = 0; id < about_.size; ++id) {
            AboutToken about;
            std::string_view piece, text;
            if (!reader.take(about) || !reader.take(about.piece_bytes, piece) ||
                !reader.take(about.text_bytes, text) || about.kind < 1 || about.kind > 6)
                return false;
            tokens_.push_back({text, about.kind});
            ids_.emplace(piece, static_cast<TokenId>(id));
            if (about.ends) end_tokens_.push_back(static_cast<TokenId>(id));
        }
        const auto known = [&](TokenId id) { return id >= -1 && id < int64_t{about_.size}; };
        return known(about_.bos) && known(about_.eos);
    }

    const std::string text_;  // the answer that the views below look into
    const std::unique_ptr<Service> service_;
    About about_;
    std::vector<Token> tokens_;  // by id
    std::unordered_map<std::string_view, TokenId> ids_;
    std::vector<TokenId> end_tokens_;
};

}  // namespace

Expected<ModelVocabulary> hosted_vocabulary(const std::string& path) {
    auto service =
        make_hosted_service("vocabulary", path, "llama.cpp's tokenizer", kVocabularyPatienceMs);
    if (!service) return std::unexpected(service.error());
    auto answer = (*service)->ask("v");
    if (!answer) return std::unexpected(answer.error());
    const auto made = HostedTokenizer::read(std::move(*answer), std::move(*service));
    if (made == nullptr) return fail(Code::Internal, "llama.cpp's vocabulary makes no sense");
    return ModelVocabulary{made, made->end_tokens()};
}

Expected<AnswerText> answer_for_vocabulary(const std::string& path) {
    auto loaded = load_llamacpp_vocabulary(path);
    if (!loaded) return std::unexpected(loaded.error());
    return [vocabulary = std::shared_ptr<const LlamaCppVocabulary>(std::move(*loaded))](
               std::string_view question) -> Expected<std::string> {
        if (question == "v") return write_vocabulary(*vocabulary);
        if (question.size() < 2 || question[0] != 't')
            return fail(Code::Internal, "a question that makes no sense");
        const auto ids = vocabulary->encode(question.substr(2), (question[1] & kAddSpecial) != 0,
                                            (question[1] & kParseSpecial) != 0);
        if (!ids) return std::unexpected(ids.error());
        std::string out;
        for (const TokenId id : *ids) append(out, id);
        return out;
    };
}

}  // namespace dunlin
