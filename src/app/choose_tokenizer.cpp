#include "app/choose_tokenizer.h"

#include <algorithm>

#include "base/log.h"
#include "json/json.h"

namespace dunlin {
namespace {

// Texts that tokenizers are known to split differently. Only composed characters: where a model's
// publisher composes them first, ours does and the library does not.
constexpr std::string_view kTexts[] = {
    "Hello, world! It's 9 o'clock; we'll see THEY'RE late.",
    " two  spaces   three\ttab \n\n  \n\nfour lines\r\nend ",
    "0 12 345 6789 3.14159 1,000,000 ٣٤٥ Ⅷ ½",
    "int main() {\n\treturn x->y[i] != 0x1F ? 1 : -1;  // {{}}\n}\n",
    "Übergröße café naïve Ångström «œuvre»",
    "你好，世界！今天天气怎么样？天地玄黄",
    "こんにちは、カタカナ。한국어 문장입니다.",
    "Привет, мир! Γειά σου Κόσμε. שלום עולם مرحبا بالعالم नमस्ते दुनिया สวัสดี",
    "😀 👩‍👩‍👧‍👦 🏳️‍🌈 ✅→∑∫≠ … — “quotes”",
    "https://example.org/a_b?c=d&e=%20#f user@example.org $5 #1 @x",
    "x",
    " ",
    "\n",
};
constexpr size_t kExcerptBytes = 40;
constexpr int64_t kSomeTime = 1'700'000'000;  // unix seconds; templates may print the day

std::string excerpt(std::string_view text) {
    if (text.size() <= kExcerptBytes) return '"' + log_escape(text) + '"';
    size_t end = kExcerptBytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return '"' + log_escape(text.substr(0, end)) + "\" ...";
}

/// A conversation as the model is to read it; empty where the template wants another one.
std::string conversation(const ChatTemplate* chat) {
    if (chat == nullptr) return {};
    const auto context = write_json(Json::Object{
        {"messages", Json::Array{Json::Object{{"role", "user"}, {"content", "What is 2+2?"}},
                                 Json::Object{{"role", "assistant"}, {"content", "It's 4."}},
                                 Json::Object{{"role", "user"}, {"content", "Thanks!"}}}},
        {"add_generation_prompt", true}});
    return context ? chat->render(*context, kSomeTime).value_or("") : "";
}

std::optional<std::string> text_difference(const Tokenizer& ours, const Tokenizer& library,
                                           std::string_view text) {
    for (const bool special : {false, true}) {
        const Tokenizer::EncodeOptions options{.add_special = special, .parse_special = special};
        const auto mine = ours.encode(text, options);
        const auto theirs = library.encode(text, options);
        if (!theirs) return std::nullopt;  // it cannot be asked, so that it says nothing
        if (!mine) return "only llama.cpp can tokenize " + excerpt(text);
        if (*mine != *theirs)
            return excerpt(text) + " is " + std::to_string(mine->size()) + " tokens here and " +
                   std::to_string(theirs->size()) + " others in llama.cpp";
        for (const TokenId id : *mine)
            if (ours.token_bytes(id) != library.token_bytes(id))
                return "token " + std::to_string(id) + " is " + excerpt(ours.token_bytes(id)) +
                       " here and " + excerpt(library.token_bytes(id)) + " in llama.cpp";
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> tokenizer_difference(const Tokenizer& ours, const Tokenizer& library,
                                                const ChatTemplate* chat) {
    if (ours.size() != library.size())
        return "the vocabulary has " + std::to_string(ours.size()) + " tokens here and " +
               std::to_string(library.size()) + " in llama.cpp";
    for (const std::string_view text : kTexts)
        if (auto difference = text_difference(ours, library, text)) return difference;
    return text_difference(ours, library, conversation(chat));
}

Expected<ModelVocabulary> choose_tokenizer(
    const std::string& model, Expected<std::shared_ptr<const Tokenizer>> ours,
    const ChatTemplate* chat, const std::function<Expected<ModelVocabulary>()>& library) {
    auto theirs = library();
    if (!theirs) {
        log_warning("registry", "the tokenizer was not compared with llama.cpp's",
                    {{"model", model}, {"error", theirs.error().message}});
        if (!ours) return std::unexpected(ours.error());
        return ModelVocabulary{std::move(*ours)};
    }
    const std::optional<std::string> difference =
        ours ? tokenizer_difference(**ours, *theirs->tokenizer, chat)
             : std::optional(ours.error().message);
    if (!difference) return ModelVocabulary{std::move(*ours), std::move(theirs->end_tokens)};
    log_warning("registry", "llama.cpp's tokenizer takes the place of the own one",
                {{"model", model}, {"why", *difference}});
    return theirs;
}

}  // namespace dunlin
