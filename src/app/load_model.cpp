#include "app/load_model.h"

#include <chrono>
#include <map>
#include <thread>

#include "app/fake_model.h"
#include "app/hosted_runner.h"
#include "app/id_tokenizer.h"
#include "app/llamacpp_room.h"
#include "base/os.h"
#include "engine/byte_tokenizer.h"
#include "formats/model_config.h"
#include "registry/gguf_text.h"
#include "runner/llamacpp/architectures.h"

namespace dunlin {
namespace {

/// The type that most of a file's bytes have.
std::string main_type(const GgufFile& file, uint64_t& parameters) {
    std::map<DType, uint64_t> bytes;
    parameters = 0;
    for (const auto name : file.names()) {
        const TensorView& tensor = *file.find(name);
        bytes[tensor.dtype] += tensor.data.size();
        parameters += tensor.shape.columns() * tensor.shape.rows();
    }
    DType best = DType::F32;
    for (const auto& [dtype, sum] : bytes)
        if (sum > bytes[best]) best = dtype;
    return std::string(to_string(best));
}

/// Everything that means the end of an answer: `ends`, what the file names, and the usual turn
/// ends.
std::vector<TokenId> end_tokens(const GgufFile& file, const Tokenizer& tokenizer,
                                std::vector<TokenId> ends) {
    const auto add = [&](TokenId id) {
        if (id >= 0 && static_cast<uint32_t>(id) < tokenizer.size()) ends.push_back(id);
    };
    for (const char* key : {"eos_token_id", "eot_token_id", "eom_token_id"})
        if (const auto id = file.get_uint(std::string("tokenizer.ggml.") + key))
            add(static_cast<TokenId>(std::min<uint64_t>(*id, INT32_MAX)));
    for (const char* piece :
         {"<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end|>", "<end_of_turn>"}) {
        const TokenId id = tokenizer.token_id(piece);
        if (id >= 0 && tokenizer.token_kind(id) == TokenKind::Control) add(id);
    }
    return ends;
}

}  // namespace

Expected<ModelFacts> inspect_model(const ModelEntry& entry) {
    if (is_fake_model(entry.path)) {
        if (auto fake = parse_fake_model(entry.path); !fake) return std::unexpected(fake.error());
        return ModelFacts{.architecture = "fake", .quantization = "none"};
    }
    const auto file = GgufFile::open(entry.path);
    if (!file) return std::unexpected(file.error());
    ModelFacts facts;
    facts.architecture = (*file)->get_string("general.architecture").value_or("");
    facts.quantization = main_type(**file, facts.parameters);
    facts.file_bytes = (*file)->file_bytes();
    facts.context_tokens = static_cast<uint32_t>(std::min<uint64_t>(
        UINT32_MAX, (*file)->get_uint(facts.architecture + ".context_length").value_or(0)));
    return facts;
}

namespace {

constexpr const char* kFakeWhy = "it is the model for tests, which is none";

EngineNeeds needs_of(const GgufFile& file) {
    return {.native_obstacle = native_obstacle(file),
            .llamacpp_obstacle = llamacpp_obstacle(file),
            .file_bytes = file.file_bytes(),
            .layers = layer_bytes(file, {})};
}

}  // namespace

Expected<EngineChoice> plan_model(const ModelEntry& entry, const EngineWish& wish,
                                  const EngineStock& stock) {
    if (is_fake_model(entry.path)) return EngineChoice{"fake", "cpu", {}, kFakeWhy};
    const auto file = GgufFile::open(entry.path);
    if (!file) return std::unexpected(file.error());
    return choose_engine(wish, needs_of(**file), stock);
}

Expected<ModelVocabulary> load_vocabulary(const ModelEntry& entry, const GgufFile& file,
                                          const EngineWish& wish, const EngineStock& stock,
                                          const ChatTemplate* chat) {
    if (file.get_strings("tokenizer.ggml.tokens") == nullptr) return ModelVocabulary{};
    auto ours = tokenizer_from_gguf(file);
    if (!ours && ours.error().code == Code::Unsupported) {
        auto beside = tokenizer_beside(entry.path, file);
        if (!beside || *beside != nullptr) ours = std::move(beside);
    }
    const auto choice = choose_engine(wish, needs_of(file), stock);
    if (!choice) return std::unexpected(choice.error());
    // Where the file does not name the pre-tokenizer both guess, and there is nothing to compare.
    const bool guessed =
        file.get_string("tokenizer.ggml.model") == "gpt2" && !file.get_string("tokenizer.ggml.pre");
    if (stock.has_llamacpp && (!ours || (choice->engine == "llama.cpp" && !guessed)))
        return choose_tokenizer(entry.id, std::move(ours), chat,
                                [&] { return hosted_vocabulary(entry.path); });
    if (!ours) return std::unexpected(ours.error());
    return ModelVocabulary{std::move(*ours)};
}

namespace {

Expected<LoadedModel> load_fake(const ModelEntry& entry, EngineSettings engine, const Clock& clock,
                                Metrics& metrics) {
    const auto fake = parse_fake_model(entry.path);
    if (!fake) return std::unexpected(fake.error());
    if (fake->hosted == 0) std::this_thread::sleep_for(std::chrono::milliseconds(fake->load_ms));
    if (fake->fail_load != 0) return fail(Code::Corrupt, "the fake model was told not to load");
    engine.end_tokens = {kByteTokenizerEnd};
    auto chat = chat_template_from_source(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:", "", "");
    if (!chat) return std::unexpected(chat.error());
    auto runner = fake->hosted != 0
                      ? make_hosted_fake(entry.path)
                      : Expected<std::unique_ptr<Runner>>(make_fake_runner(fake->runner));
    if (!runner) return std::unexpected(runner.error());
    return LoadedModel{.engine = make_engine(std::move(*runner), make_byte_tokenizer(),
                                             std::move(*chat), std::move(engine), clock, metrics),
                       .engine_name = "fake",
                       .device = "cpu",
                       .why = kFakeWhy};
}

Expected<std::unique_ptr<Runner>> make_runner(const std::string& path, const GgufFile& file,
                                              const LoadSettings& settings,
                                              const EngineChoice& choice,
                                              const EngineStock& stock) {
    if (choice.engine == "native") {
        const auto config = model_config_from_gguf(file);
        if (!config) return std::unexpected(config.error());
        return make_native_runner(*config, file, settings.native);
    }
    uint64_t memory_bytes = usable_memory_bytes();
    for (const LlamaCppDevice& device : stock.devices)
        if (device.name == choice.device) memory_bytes = device.memory_bytes_free;
    LlamaCppSettings llamacpp{.threads = settings.native.threads,
                              .step_tokens_max = settings.native.step_tokens_max,
                              .kv_type = settings.native.kv_type,
                              .device = choice.device,
                              .device_layers = choice.device_layers};
    set_llamacpp_room(settings.native, kv_shape(file), memory_bytes, llamacpp);
    return make_hosted_llamacpp(path, llamacpp);
}

Expected<LoadedModel> load_file(const ModelEntry& entry, const GgufFile& file,
                                const LoadSettings& settings, EngineSettings engine,
                                const Clock& clock, Metrics& metrics) {
    auto chat = chat_template_from_gguf(file);
    if (!chat) return std::unexpected(chat.error());
    const EngineStock stock = engine_stock(settings.wish);
    auto vocabulary = load_vocabulary(entry, file, settings.wish, stock, chat->get());
    if (!vocabulary) return std::unexpected(vocabulary.error());
    auto chosen = choose_runner(entry.id, settings.wish, needs_of(file), stock,
                                [&](const EngineChoice& choice) {
                                    return make_runner(entry.path, file, settings, choice, stock);
                                });
    if (!chosen) return std::unexpected(chosen.error());
    std::shared_ptr<const Tokenizer>& tokenizer = vocabulary->tokenizer;
    if (tokenizer == nullptr)
        tokenizer = make_id_tokenizer(chosen->runner->capabilities().vocabulary);
    engine.end_tokens = end_tokens(file, *tokenizer, std::move(vocabulary->end_tokens));
    EngineChoice& choice = chosen->choice;
    return LoadedModel{.engine = make_engine(std::move(chosen->runner), std::move(tokenizer),
                                             std::move(*chat), std::move(engine), clock, metrics),
                       .engine_name = std::move(choice.engine),
                       .device = std::move(choice.device),
                       .why = std::move(choice.why)};
}

}  // namespace

Expected<LoadedModel> load_engine(const ModelEntry& entry, const LoadSettings& settings,
                                  const Clock& clock, Metrics& metrics) {
    EngineSettings engine = settings.engine;
    engine.model = entry.id;
    if (is_fake_model(entry.path)) return load_fake(entry, std::move(engine), clock, metrics);
    const auto file = GgufFile::open(entry.path);
    if (!file) return std::unexpected(file.error());
    auto loaded = load_file(entry, **file, settings, std::move(engine), clock, metrics);
    // What was read while the file changed is not what was checked, whatever came of it.
    if (auto same = (*file)->check_unchanged(); !same) return std::unexpected(same.error());
    return loaded;
}

}  // namespace dunlin
