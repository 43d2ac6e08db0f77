#include "registry/gguf_text.h"

#include <algorithm>
#include <filesystem>

#include "base/files.h"

namespace dunlin {
namespace {

std::string piece_of(const GgufFile& file, const char* key) {
    const auto id = file.get_uint(key);
    const auto* tokens = file.get_strings("tokenizer.ggml.tokens");
    if (!id || tokens == nullptr || *id >= tokens->size()) return {};
    return std::string((*tokens)[*id]);
}

/// Whether a text begins with the begin token where the file does not say: files are made for a
/// reader that takes it so for these.
bool begins_by_default(std::string_view model, std::string_view pre) {
    constexpr std::string_view kPres[] = {"llama3", "llama-v3", "llama-bpe", "falcon3"};
    return model == "llama" ||
           (model == "gpt2" && std::ranges::find(kPres, pre) != std::end(kPres));
}

}  // namespace

Expected<std::shared_ptr<const Tokenizer>> tokenizer_from_gguf(const GgufFile& file) {
    const auto* tokens = file.get_strings("tokenizer.ggml.tokens");
    const auto* types = file.get_ints("tokenizer.ggml.token_type");
    if (tokens == nullptr)
        return fail(Code::Unsupported, "the file has no vocabulary (tokenizer.ggml.tokens)");
    std::vector<int32_t> kinds(tokens->size(), 1);
    if (types != nullptr)
        for (size_t i = 0; i < std::min(kinds.size(), types->size()); ++i)
            kinds[i] = static_cast<int32_t>((*types)[i]);
    std::vector<float> scores;
    if (const auto* found = file.get_floats("tokenizer.ggml.scores"))
        for (const double score : *found) scores.push_back(static_cast<float>(score));
    static const std::vector<std::string_view> kNone;
    const auto* merges = file.get_strings("tokenizer.ggml.merges");
    const auto id = [&](const char* key) {
        const auto value = file.get_uint(std::string("tokenizer.ggml.") + key);
        return value && *value < tokens->size() ? static_cast<TokenId>(*value) : -1;
    };
    const auto model = file.get_string("tokenizer.ggml.model").value_or("");
    const auto pre = file.get_string("tokenizer.ggml.pre").value_or("gpt-2");
    auto made = tokenizer_from_vocabulary(
        {.model = model,
         .pre = pre,
         .tokens = *tokens,
         .kinds = kinds,
         .scores = scores,
         .merges = merges == nullptr ? kNone : *merges,
         .bos = id("bos_token_id"),
         .eos = id("eos_token_id"),
         .unk = id("unknown_token_id"),
         .add_bos =
             file.get_bool("tokenizer.ggml.add_bos_token").value_or(begins_by_default(model, pre)),
         .add_eos = file.get_bool("tokenizer.ggml.add_eos_token").value_or(false),
         .add_space_prefix = file.get_bool("tokenizer.ggml.add_space_prefix").value_or(true)});
    if (!made) return std::unexpected(made.error());
    return std::shared_ptr<const Tokenizer>(std::move(*made));
}

Expected<std::shared_ptr<const Tokenizer>> tokenizer_beside(const std::string& path,
                                                            const GgufFile& file) {
    constexpr size_t kJsonBytesMax = size_t{256} << 20;
    constexpr uint32_t kLookedAt = 64;
    const auto folder = std::filesystem::path(path).parent_path();
    const auto json = read_file(folder / "tokenizer.json", kJsonBytesMax);
    if (!json) return std::unexpected(json.error());
    if (!*json) return nullptr;
    const auto config = read_file(folder / "tokenizer_config.json", kJsonBytesMax);
    if (!config) return std::unexpected(config.error());
    auto made = tokenizer_from_json(**json, config->value_or(""));
    if (!made) return std::unexpected(made.error());
    const auto* tokens = file.get_strings("tokenizer.ggml.tokens");
    bool same = tokens != nullptr && (*made)->size() <= tokens->size();
    for (uint32_t i = 0; same && i < kLookedAt; ++i) {
        const size_t id = size_t{i} * (*made)->size() / kLookedAt;
        same = (*made)->token_id((*tokens)[id]) == static_cast<TokenId>(id);
    }
    if (!same)
        return fail(Code::Unsupported, "the tokenizer.json beside the file is another model's");
    return std::shared_ptr<const Tokenizer>(std::move(*made));
}

Expected<std::unique_ptr<ChatTemplate>> chat_template_from_gguf(const GgufFile& file) {
    const auto source = file.get_string("tokenizer.chat_template");
    if (!source) return std::unique_ptr<ChatTemplate>();
    return chat_template_from_source(*source, piece_of(file, "tokenizer.ggml.bos_token_id"),
                                     piece_of(file, "tokenizer.ggml.eos_token_id"));
}

}  // namespace dunlin
