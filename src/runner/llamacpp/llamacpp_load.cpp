// Loading goes from what is cheap to check to what is dear: the file by our own reader, the
// settings, the device, then the weights, the context with its KV, and last a step on the device.
// What a bad file, device or setting can make fail should fail here and not in a request.

#include "runner/llamacpp/llamacpp_load.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <thread>
#include <vector>

#include "base/checked.h"
#include "base/log.h"
#include "formats/gguf.h"
#include "ggml-cpu.h"
#include "llama-ext.h"
#include "llama.h"
#include "runner/llamacpp/architectures.h"
#include "runner/llamacpp/devices.h"
#include "runner/llamacpp/llamacpp_log.h"
#include "runner/llamacpp/offload.h"

namespace dunlin {
namespace {

constexpr uint32_t kDefaultContext = 8192;
constexpr uint32_t kContextGranule = 256;  // the library rounds a sequence's context up to this
constexpr uint32_t kComputeTokens = 512;   // computed at once; a larger step is cut up

/// Where the layers go: nothing but the CPU, or a device for some of them.
struct Placement {
    ggml_backend_dev_t device = nullptr;
    int32_t layers = 0;
};

uint32_t outputs_most(const LlamaCppSettings& settings) {
    return std::min(settings.step_tokens_max, settings.step_outputs_max == 0
                                                  ? settings.sequences_max
                                                  : settings.step_outputs_max);
}

std::optional<Error> refuse(const LlamaCppSettings& settings) {
    const size_t most = llama_max_parallel_sequences();
    if (settings.sequences_max == 0 || settings.sequences_max > most)
        return Error{Code::Invalid,
                     "llama.cpp takes 1 to " + std::to_string(most) + " sequences at once"};
    if (settings.kv_type == KvType::Int8 && settings.flash_attention == FlashAttention::Off)
        return Error{Code::Invalid,
                     "an 8-bit KV cache needs flash attention in llama.cpp: switch that on, or "
                     "keep the cache at 16 bits"};
    return std::nullopt;
}

/// A file that does not say what its model was made for is taken at the default.
uint32_t longest_sequence(const GgufFile& file, const LlamaCppSettings& settings) {
    const std::string architecture(file.get_string("general.architecture").value_or(""));
    const uint64_t trained = file.get_uint(architecture + ".context_length").value_or(0);
    const uint64_t wanted =
        settings.context_tokens_max == 0 ? kDefaultContext : settings.context_tokens_max;
    return static_cast<uint32_t>(std::min(trained == 0 ? kDefaultContext : trained, wanted));
}

Expected<Placement> place(const GgufFile& file, const LlamaCppSettings& settings) {
    if (settings.device == "cpu") return Placement{};
    std::string known = "cpu";
    ggml_backend_dev_t device = nullptr;
    for (const LlamaCppDevice& each : llamacpp_devices()) {
        known += ", " + each.name;
        if (each.name == settings.device)
            device = ggml_backend_dev_by_name(each.library_name.c_str());
    }
    if (device == nullptr)
        return fail(Code::Invalid,
                    "llama.cpp has no device \"" + settings.device + "\" here; it has: " + known);
    if (settings.device_layers)
        return Placement{device,
                         checked_cast<int32_t>(*settings.device_layers).value_or(INT32_MAX)};
    const bool q8 = settings.kv_type == KvType::Int8;
    const uint32_t context = round_up(longest_sequence(file, settings), kContextGranule);
    const LayerBytes layers =
        layer_bytes(file, {.tokens = uint64_t{context} * settings.sequences_max,
                           .block_elements = q8 ? 32U : 1U,
                           .block_bytes = q8 ? 34U : 2U});
    size_t free = 0, total = 0;
    ggml_backend_dev_memory(device, &free, &total);
    const auto* embedding = file.find("token_embd.weight");
    const uint64_t vocabulary = embedding == nullptr ? 0 : embedding->shape.rows();
    const uint64_t rows = std::max(outputs_most(settings), settings.sequences_max);
    const uint32_t fit = layers_that_fit(layers, free, vocabulary * rows * sizeof(float));
    log_info("llama.cpp", "layers placed",
             {{"device", settings.device},
              {"layers", fit},
              {"of", layers.size()},
              {"free_mib", free >> 20}});
    return Placement{device, static_cast<int32_t>(fit)};
}

llama_model_kv_override override_named(const std::string& key) {
    llama_model_kv_override made{};
    std::strncpy(made.key, key.c_str(), sizeof made.key - 1);
    return made;
}

/// A file without a vocabulary (we only need its width) is declared to have none, which the library
/// wants to be told.
std::array<llama_model_kv_override, 3> overrides_for(const GgufFile& file) {
    std::array<llama_model_kv_override, 3> made{};
    if (file.get_string("tokenizer.ggml.model")) return made;
    const auto* embedding = file.find("token_embd.weight");
    const std::string architecture(file.get_string("general.architecture").value_or(""));
    made[0] = override_named("tokenizer.ggml.model");
    made[0].tag = LLAMA_KV_OVERRIDE_TYPE_STR;
    std::strncpy(made[0].val_str, "none", sizeof made[0].val_str - 1);
    made[1] = override_named(architecture + ".vocab_size");
    made[1].tag = LLAMA_KV_OVERRIDE_TYPE_INT;
    made[1].val_i64 = embedding == nullptr ? 0 : static_cast<int64_t>(embedding->shape.rows());
    return made;
}

llama_model* load_weights(const std::string& path, const GgufFile& file, const Placement& where) {
    const auto overrides = overrides_for(file);
    std::array<ggml_backend_dev_t, 2> devices{where.device, nullptr};  // ends at nullptr
    llama_model_params params = llama_model_default_params();
    params.devices = devices.data();
    params.n_gpu_layers = where.layers;
    if (overrides[0].key[0] != '\0') params.kv_overrides = overrides.data();
    try {
        return llama_model_load_from_file(path.c_str(), params);
    } catch (const std::exception&) {
        return nullptr;
    }
}

llama_flash_attn_type flash_attention(const LlamaCppSettings& settings) {
    if (settings.flash_attention == FlashAttention::Off) return LLAMA_FLASH_ATTN_TYPE_DISABLED;
    const bool must =
        settings.flash_attention == FlashAttention::On || settings.kv_type == KvType::Int8;
    return must ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_AUTO;
}

/// REQUIRES: context x sequences_max fits an int32_t.
llama_context* make_context(llama_model* model, const LlamaCppSettings& settings, uint32_t context,
                            Signals* signals) {
    const uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
    llama_context_params params = llama_context_default_params();
    params.n_ctx = context * settings.sequences_max;
    params.n_batch = settings.step_tokens_max;
    params.n_ubatch = std::min(params.n_batch, kComputeTokens);
    params.n_seq_max = settings.sequences_max;
    // The library reserves for at least a row for each sequence, and asserts that it may.
    params.n_outputs_max = std::max(outputs_most(settings), settings.sequences_max);
    params.n_threads = params.n_threads_batch =
        static_cast<int32_t>(settings.threads == 0 ? cores : settings.threads);
    params.flash_attn_type = flash_attention(settings);
    params.type_k = params.type_v =
        settings.kv_type == KvType::Int8 ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
    params.offload_kqv = params.op_offload = settings.device != "cpu";
    params.kv_unified = false;
    // A sliding window keeps what it has left behind, so that a sequence can be cut anywhere.
    params.swa_full = true;
    params.no_perf = true;
    params.abort_callback_data = signals;
    params.abort_callback = [](void* data) {
        auto& seen = *static_cast<Signals*>(data);
        seen.progress.fetch_add(1, std::memory_order_relaxed);
        return !seen.whole_calls && seen.cancelled.load(std::memory_order_relaxed);
    };
    try {
        return llama_init_from_model(model, params);
    } catch (const std::exception&) {
        return nullptr;
    }
}

Capabilities capabilities_of(const LlamaCppModel& made, const LlamaCppSettings& settings,
                             uint32_t longest) {
    const llama_model* model = made.model.get();
    const bool recurrent = llama_model_is_recurrent(model) || llama_model_is_hybrid(model);
    const uint32_t step_tokens = llama_n_batch(made.context.get());
    return {.vocabulary = static_cast<uint32_t>(llama_vocab_n_tokens(llama_model_get_vocab(model))),
            .hidden = static_cast<uint32_t>(llama_model_n_embd(model)),
            .sequences_max = settings.sequences_max,
            .sequence_tokens_max = longest,
            .step_tokens_max = step_tokens,
            .step_outputs_max = std::min(step_tokens, outputs_most(settings)),
            .rollback_max = recurrent ? 0 : UINT32_MAX,
            .batch_invariant = false,
            .fixed_slots = true,
            .shares_prefixes = false,
            .arithmetic = 0};
}

/// As the library has allocated it. Weights that are mapped count with what is mapped of the file.
MemoryReport memory_of(const LlamaCppModel& made, ggml_backend_dev_t device) {
    MemoryReport report;
    for (const auto& [type, bytes] : llama_get_memory_breakdown(made.context.get())) {
        report.weights_bytes += bytes.model;
        report.kv_total_bytes += bytes.context;
        report.scratch_bytes += bytes.compute;
        if (device != nullptr && ggml_backend_buft_get_device(type) == device &&
            !ggml_backend_buft_is_host(type))
            report.device_bytes += bytes.total();
    }
    return report;
}

/// Computes `tokens` tokens and forgets them.
bool compute(llama_context* context, uint32_t tokens) {
    std::vector<llama_token> ids(tokens, 0);
    bool computed = false;
    try {
        computed = llama_decode(context,
                                llama_batch_get_one(ids.data(), static_cast<int32_t>(tokens))) == 0;
        llama_synchronize(context);
    } catch (const std::exception&) {
        computed = false;
    }
    llama_memory_clear(llama_get_memory(context), true);
    return computed;
}

/// One token, so that weights and device are known to work; on a device also a whole step, because
/// drivers compile their programs at the first use, which can take longer than what counts as stuck
/// in a request.
bool warm_up(const LlamaCppModel& made, const Placement& where) {
    const uint32_t tokens = std::min(
        {made.capabilities.step_tokens_max, made.capabilities.sequence_tokens_max, kComputeTokens});
    return (where.device == nullptr || compute(made.context.get(), tokens)) &&
           compute(made.context.get(), 1);
}

}  // namespace

void FreeLlamaCpp::operator()(llama_model* model) const {
    llama_model_free(model);
}
void FreeLlamaCpp::operator()(llama_context* context) const {
    llama_free(context);
}
void FreeLlamaCpp::operator()(ggml_threadpool* threads) const {
    ggml_threadpool_free(threads);
}

Expected<LlamaCppModel> load_llamacpp(const std::string& path, const LlamaCppSettings& settings) {
    auto file = GgufFile::open(path);
    if (!file) return std::unexpected(file.error());
    if (auto refused = refuse(settings)) return std::unexpected(std::move(*refused));
    if (const std::string why = llamacpp_obstacle(**file); !why.empty())
        return fail(Code::Unsupported, path + ": " + why);
    start_llamacpp();
    const auto where = place(**file, settings);
    if (!where) return std::unexpected(where.error());
    take_llamacpp_error();
    LlamaCppModel made;
    made.signals = std::make_unique<Signals>();
    made.model.reset(load_weights(path, **file, *where));
    if (!made.model)
        return fail(Code::Unsupported, "llama.cpp cannot load " + path + ": " +
                                           take_llamacpp_error() +
                                           "; another file of the model may load");
    if (llama_model_has_encoder(made.model.get()))
        return fail(
            Code::Unsupported,
            path + ": the model encodes its whole prompt before it writes; " + kOnlyWriters);
    const uint32_t longest = longest_sequence(**file, settings);
    const uint32_t context = round_up(longest, kContextGranule);
    if (!checked_cast<int32_t>(uint64_t{context} * settings.sequences_max))
        return fail(Code::Invalid, "the contexts of all sequences together are too long");
    made.context.reset(make_context(made.model.get(), settings, context, made.signals.get()));
    if (!made.context)
        return fail(Code::OutOfMemory,
                    "llama.cpp cannot make a context of " + std::to_string(settings.sequences_max) +
                        " x " + std::to_string(context) + " tokens: " + take_llamacpp_error());
    if (llama_get_memory(made.context.get()) == nullptr)
        return fail(
            Code::Unsupported,
            path + ": the model turns texts into embeddings and writes none; " + kOnlyWriters);
    ggml_threadpool_params pool =
        ggml_threadpool_params_default(llama_n_threads(made.context.get()));
    // How long idle threads spin. The library's default is a third of a second on some processors,
    // in which they take cores from whoever else computes; this is a few milliseconds.
    pool.poll = 1;
    made.threads.reset(ggml_threadpool_new(&pool));
    if (!made.threads) return fail(Code::OutOfMemory, "llama.cpp cannot start its threads");
    llama_attach_threadpool(made.context.get(), made.threads.get(), made.threads.get());
    made.capabilities = capabilities_of(made, settings, longest);
    made.signals->whole_calls = made.capabilities.rollback_max == 0;
    if (!warm_up(made, *where))
        return fail(Code::DeviceLost, "llama.cpp cannot compute " + path + " on \"" +
                                          settings.device + "\": " + take_llamacpp_error());
    made.memory = memory_of(made, where->device);
    made.file = std::move(*file);
    return made;
}

}  // namespace dunlin
