#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

#include "app/command.h"
#include "app/fake_model.h"
#include "app/flags.h"
#include "app/load_model.h"
#include "app/models.h"
#include "app/token_ids.h"
#include "base/log.h"
#include "engine/byte_tokenizer.h"
#include "json/json.h"
#include "registry/gguf_text.h"
#include "wire/openai.h"

namespace dunlin {
namespace {

struct TokenizeOptions {
    std::string text, decode;
    bool ids = false, json = false, special = true;
};

/// A tokenizer and the file that knows how its control tokens are spelled.
struct TokenSpellings {
    std::unique_ptr<GgufFile> file;  // none for the fake model
    std::shared_ptr<const Tokenizer> tokenizer;

    /// The bytes the token stands for, or the spelling of a control token.
    std::string_view piece(TokenId id) const {
        const auto bytes = tokenizer->token_bytes(id);
        if (!bytes.empty() || !file) return bytes;
        const auto* spellings = file->get_strings("tokenizer.ggml.tokens");
        const auto index = static_cast<size_t>(id);
        if (spellings == nullptr || index >= spellings->size()) return {};
        return (*spellings)[index];
    }
};

/// As people read it: the bytes of a part of a character as \xE4\xB8.
std::string visible(std::string_view bytes) {
    if (lossy_utf8(bytes) == bytes) return log_escape(bytes);
    std::string out;
    for (const char c : bytes) {
        char hex[8];
        std::snprintf(hex, sizeof hex, "\\x%02X", static_cast<unsigned>(c) & 0xff);
        out += static_cast<unsigned char>(c) < 0x80 ? log_escape({&c, 1}) : hex;
    }
    return out;
}

TokenSpellings spellings_of(const Settings& settings, const ModelEntry& entry) {
    TokenSpellings out;
    if (is_fake_model(entry.path)) {
        out.tokenizer = make_byte_tokenizer();
        return out;
    }
    auto file = GgufFile::open(entry.path);
    if (!file) exit_with(file.error());
    // Neither devices, for which it takes time to ask, nor memory matter for a tokenizer.
    EngineWish wish = load_settings_of(settings, entry).wish;
    wish.device = "cpu";
    EngineStock stock = engine_stock(wish);
    stock.memory_bytes = 0;
    auto vocabulary = load_vocabulary(entry, **file, wish, stock, nullptr);
    if (!vocabulary) exit_with(vocabulary.error());
    if (vocabulary->tokenizer == nullptr)
        exit_with({Code::Unsupported, entry.path + " has no vocabulary (tokenizer.ggml.tokens)"});
    out.file = std::move(*file);
    out.tokenizer = std::move(vocabulary->tokenizer);
    return out;
}

void print_object(const Json& value) {
    const auto text = write_json(value);
    if (!text) exit_with(text.error());
    std::printf("%s\n", text->c_str());
}

void decode(const TokenSpellings& vocabulary, const TokenizeOptions& options) {
    const auto ids = parse_token_ids(options.decode);
    if (!ids)
        exit_with({Code::Invalid, "--decode: \"" + log_escape(options.decode) +
                                      "\" is not a list of token ids; write 1,2,3"},
                  2);
    const auto text = vocabulary.tokenizer->decode(*ids);
    if (!text) exit_with({text.error().code, "--decode: " + text.error().message}, 2);
    if (!options.json) {
        std::printf("%s\n", text->c_str());
        return;
    }
    Json out(Json::Object{});
    out.set("tokens", to_json(*ids)).set("text", *text);
    print_object(out);
}

void encode(const TokenSpellings& vocabulary, const TokenizeOptions& options) {
    const auto ids = vocabulary.tokenizer->encode(
        options.text == "-" ? read_stdin() : options.text,
        {.add_special = options.special, .parse_special = options.special});
    if (!ids) exit_with(ids.error(), 2);
    if (options.json) {
        Json::Array pieces;
        for (const TokenId id : *ids) pieces.emplace_back(lossy_utf8(vocabulary.piece(id)));
        Json out(Json::Object{});
        out.set("tokens", to_json(*ids)).set("pieces", std::move(pieces));
        print_object(out);
    } else if (options.ids) {
        std::printf("%s\n", to_text(*ids).c_str());
    } else {
        for (const TokenId id : *ids)
            std::printf("%8d  \"%s\"\n", id, visible(vocabulary.piece(id)).c_str());
    }
}

}  // namespace

void add_tokenize(CLI::App& command) {
    const auto flags = std::make_shared<CommandFlags>();
    add_model_flag(command, flags);
    const auto options = std::make_shared<TokenizeOptions>();
    auto* text =
        command.add_option("TEXT", options->text, "The text; - reads it from standard input");
    auto* ids = command.add_option("--decode", options->decode,
                                   "Token ids to turn into text; control tokens are left out");
    ids->type_name("1,2,3")->excludes(text);
    command.add_flag(
        "--special,!--no-special", options->special,
        "Begin and end tokens where the model wants them, and <|im_start|> in the text "
        "as the token it names (the default); --no-special takes all of it as letters");
    command.add_flag("--ids", options->ids,
                     "Print the ids alone, as --tokens and --decode take them");
    command.add_flag("--json", options->json, "Print one JSON object");
    add_config_flag(command, flags);
    command.footer(
        "Examples:\n"
        "  dunlin tokenize \"What is gravity?\"\n"
        "  dunlin tokenize --model some.gguf --decode 1,2,3");
    command.callback([flags, options, text] {
        if (text->count() == 0 && options->decode.empty())
            exit_with({Code::Invalid, "give a TEXT, - for standard input, or --decode 1,2,3"}, 2);
        const LoadedSettings loaded = load_or_exit(*flags);
        const ModelEntry entry = choose_or_exit(*flags, loaded.settings);
        if (entry.path.empty()) exit_with({Code::NotReady, entry.id + ": " + entry.reason});
        const TokenSpellings vocabulary = spellings_of(loaded.settings, entry);
        if (options->decode.empty())
            encode(vocabulary, *options);
        else
            decode(vocabulary, *options);
    });
}

}  // namespace dunlin
