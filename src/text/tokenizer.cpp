#include "text/tokenizer.h"

#include <cstring>

#include "base/check.h"
#include "text/crate.h"
#include "text/stream_decoder.h"

namespace dunlin {

Expected<std::string> Tokenizer::decode(std::span<const TokenId> ids) const {
    StreamDecoder decoder(*this);
    std::string text;
    for (const TokenId id : ids) {
        if (id < 0 || static_cast<uint32_t>(id) >= size())
            return fail(Code::Invalid, "there is no token " + std::to_string(id) +
                                           "; the vocabulary has " + std::to_string(size()));
        text += decoder.push(id);
    }
    return text + decoder.finish();
}

namespace {

class CrateTokenizer final : public Tokenizer {
 public:
    explicit CrateTokenizer(dt_tokenizer* raw) : raw_(raw), info_(dt_tokenizer_info(raw)) {}
    ~CrateTokenizer() override { dt_tokenizer_free(raw_); }
    CrateTokenizer(const CrateTokenizer&) = delete;
    CrateTokenizer& operator=(const CrateTokenizer&) = delete;

    uint32_t size() const override { return info_.size; }
    TokenId bos() const override { return info_.bos; }
    TokenId eos() const override { return info_.eos; }
    bool strips_leading_space() const override { return info_.strips_leading_space != 0; }

    Expected<std::vector<TokenId>> encode(std::string_view utf8,
                                          EncodeOptions options) const override {
        uint32_t flags = 0;
        if (options.add_special) flags |= DT_ADD_SPECIAL;
        if (options.parse_special) flags |= DT_PARSE_SPECIAL;
        CrateBuffer ids;
        CrateBuffer error;
        const int code = dt_encode(raw_, to_view(utf8), flags, &ids.raw, &error.raw);
        if (code != DT_OK) return crate_failure(code, error);
        std::vector<TokenId> out(ids.raw.size / sizeof(TokenId));
        if (!out.empty()) std::memcpy(out.data(), ids.raw.data, out.size() * sizeof(TokenId));
        return out;
    }

    std::string_view token_bytes(TokenId id) const override {
        int32_t kind = 0;
        return from_view(dt_token_bytes(raw_, id, &kind));
    }
    TokenKind token_kind(TokenId id) const override {
        int32_t kind = 0;
        dt_token_bytes(raw_, id, &kind);
        return static_cast<TokenKind>(kind - 1);
    }
    TokenId token_id(std::string_view piece) const override {
        return dt_token_id(raw_, to_view(piece));
    }

 private:
    dt_tokenizer* raw_;
    dt_info info_;
};

std::vector<dt_view> to_views(std::span<const std::string_view> texts) {
    std::vector<dt_view> views;
    views.reserve(texts.size());
    for (const std::string_view text : texts) views.push_back(to_view(text));
    return views;
}

}  // namespace

Expected<std::unique_ptr<Tokenizer>> tokenizer_from_json(std::string_view json,
                                                         std::string_view config_json) {
    dt_tokenizer* raw = nullptr;
    CrateBuffer error;
    const int code = dt_tokenizer_from_json(to_view(json), to_view(config_json), &raw, &error.raw);
    if (code != DT_OK) return crate_failure(code, error);
    return std::make_unique<CrateTokenizer>(raw);
}

Expected<std::unique_ptr<Tokenizer>> tokenizer_from_vocabulary(const VocabularySpec& spec) {
    if (spec.kinds.size() != spec.tokens.size() ||
        (!spec.scores.empty() && spec.scores.size() != spec.tokens.size()))
        return fail(Code::Invalid, "the vocabulary's tokens, kinds and scores differ in number");
    const auto tokens = to_views(spec.tokens);
    const auto merges = to_views(spec.merges);
    const dt_spec raw_spec{.model = to_view(spec.model),
                           .pre = to_view(spec.pre),
                           .tokens = tokens.data(),
                           .kinds = spec.kinds.data(),
                           .scores = spec.scores.empty() ? nullptr : spec.scores.data(),
                           .token_count = tokens.size(),
                           .merges = merges.data(),
                           .merge_count = merges.size(),
                           .bos = spec.bos,
                           .eos = spec.eos,
                           .unk = spec.unk,
                           .add_bos = spec.add_bos,
                           .add_eos = spec.add_eos,
                           .add_space_prefix = spec.add_space_prefix};
    dt_tokenizer* raw = nullptr;
    CrateBuffer error;
    const int code = dt_tokenizer_from_spec(&raw_spec, &raw, &error.raw);
    if (code != DT_OK) return crate_failure(code, error);
    return std::make_unique<CrateTokenizer>(raw);
}

}  // namespace dunlin
