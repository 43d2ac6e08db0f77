// The library's memory has one stream of KV for each sequence id ("kv_unified" off): a copy between
// streams must be whole, so that a fork copies everything and then forgets its end. Copies are only
// noted by the library and carried out, in order, before the next batch computes.

#include "runner/llamacpp/llamacpp_runner.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <exception>
#include <optional>
#include <thread>
#include <vector>

#include "base/checked.h"
#include "formats/gguf.h"
#include "ggml-cpu.h"
#include "kv/slot_sequences.h"
#include "llama.h"
#include "runner/check_batch.h"
#include "runner/llamacpp/llamacpp_log.h"

namespace dunlin {
namespace {

constexpr uint32_t kDefaultContext = 8192;
constexpr uint32_t kContextGranule = 256;  // the library rounds a sequence's context up to this

struct FreeModel {
    void operator()(llama_model* model) const { llama_model_free(model); }
};
struct FreeContext {
    void operator()(llama_context* context) const { llama_free(context); }
};
struct FreeThreads {
    void operator()(ggml_threadpool* threads) const { ggml_threadpool_free(threads); }
};
using ModelPtr = std::unique_ptr<llama_model, FreeModel>;
using ContextPtr = std::unique_ptr<llama_context, FreeContext>;
using ThreadsPtr = std::unique_ptr<ggml_threadpool, FreeThreads>;

/// Set from any thread, read by the library between the operations of a step.
struct Signals {
    std::atomic<bool> cancelled{false};
    std::atomic<uint64_t> progress{0};
};

/// A batch in the arrays that the library reads.
struct BatchArrays {
    void clear() { tokens.clear(), positions.clear(), slots.clear(), outputs.clear(); }
    void add(TokenId token, uint32_t position, SlotId slot, bool output) {
        tokens.push_back(token);
        positions.push_back(static_cast<llama_pos>(position));
        slots.push_back(static_cast<llama_seq_id>(slot));
        outputs.push_back(output ? 1 : 0);
    }
    llama_batch view() {
        slot_counts.assign(tokens.size(), 1);
        slot_lists.clear();
        for (llama_seq_id& slot : slots) slot_lists.push_back(&slot);
        return {.n_tokens = static_cast<int32_t>(tokens.size()),
                .token = tokens.data(),
                .embd = nullptr,
                .pos = positions.data(),
                .n_seq_id = slot_counts.data(),
                .seq_id = slot_lists.data(),
                .logits = outputs.data()};
    }
    std::vector<llama_token> tokens;
    std::vector<llama_pos> positions;
    std::vector<llama_seq_id> slots;
    std::vector<int8_t> outputs;
    std::vector<int32_t> slot_counts;
    std::vector<llama_seq_id*> slot_lists;
};

class LlamaCppRunner final : public Runner {
 public:
    LlamaCppRunner(ModelPtr model, ThreadsPtr threads, std::unique_ptr<Signals> signals,
                   ContextPtr context, const Capabilities& capabilities)
        : capabilities_(capabilities),
          signals_(std::move(signals)),
          model_(std::move(model)),
          threads_(std::move(threads)),
          context_(std::move(context)),
          memory_(llama_get_memory(context_.get())),
          sequences_({.slots = capabilities.sequences_max,
                      .slot_tokens = capabilities.sequence_tokens_max,
                      .rollback_max = capabilities.rollback_max},
                     {.copy = [this](SlotId from, SlotId to) { copy(from, to); },
                      .truncate = [this](SlotId slot, uint32_t n) { return truncate(slot, n); }}) {
        llama_attach_threadpool(context_.get(), threads_.get(), threads_.get());
        const int32_t heads = std::max(1, llama_model_n_head(model_.get()));
        token_bytes_ = uint64_t{2} * 2 * llama_model_n_layer(model_.get()) *
                       llama_model_n_head_kv(model_.get()) *
                       (llama_model_n_embd(model_.get()) / heads);
    }
    ~LlamaCppRunner() override { llama_detach_threadpool(context_.get()); }

    const Capabilities& capabilities() const noexcept override { return capabilities_; }
    Expected<SeqId> open(const SequenceSpec& spec) override {
        return sequences_.open(spec.domain, spec.prompt, spec.tokens_max);
    }
    Match match(SeqId seq) override { return noting(sequences_.match(seq)); }
    Expected<SeqId> fork(SeqId parent, uint32_t length) override {
        return noting(sequences_.fork(parent, length));
    }
    bool reserve(SeqId seq, uint32_t tokens) override { return sequences_.reserve(seq, tokens); }
    uint32_t trim(SeqId seq, uint32_t length) override {
        return noting(sequences_.trim(seq, length));
    }
    void close(SeqId seq, Keep keep) override {
        sequences_.close(seq, keep);
        note_memory();
    }
    uint32_t length(SeqId seq) const override { return sequences_.length(seq); }
    Room room() const override { return sequences_.room(); }

    Expected<StepId> launch(const Batch& batch) override {
        if (auto refused = check_batch(batch, capabilities_,
                                       [this](SeqId seq) { return sequences_.reserved(seq); }))
            return std::unexpected(std::move(*refused));
        gather(batch);
        const auto begin = std::chrono::steady_clock::now();
        signals_->cancelled.store(false, std::memory_order_relaxed);
        const int32_t result = decode();
        if (result == 1) return fail(Code::NoRoom, "llama.cpp found no room for the batch");
        failure_.reset();
        if (result == 2)
            failure_ = Error{Code::Cancelled, "the step was cancelled"};
        else if (result != 0)
            failure_ = Error{Code::Internal, "llama.cpp failed: " + take_llamacpp_error()};
        for (const Span& span : batch.spans) sequences_.append(span.seq, computed(span));
        if (!failure_) attach_logits();
        compute_us_ = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                                std::chrono::steady_clock::now() - begin)
                                                .count());
        note_memory();
        signals_->progress.fetch_add(1, std::memory_order_relaxed);
        return ++step_;
    }
    Expected<Step> collect(StepId) override {
        if (failure_) return std::unexpected(*failure_);
        return Step{outputs_, compute_us_};
    }

    void cancel() noexcept override { signals_->cancelled.store(true, std::memory_order_relaxed); }
    uint64_t progress() const noexcept override {
        return signals_->progress.load(std::memory_order_relaxed);
    }
    MemoryReport memory() const noexcept override {
        return {.weights_bytes = llama_model_size(model_.get()),
                .kv_total_bytes = sequences_total_ * token_bytes_,
                .kv_used_bytes = kv_used_.load(std::memory_order_relaxed) * token_bytes_,
                .kv_cached_bytes = kv_cached_.load(std::memory_order_relaxed) * token_bytes_};
    }

 private:
    void gather(const Batch& batch) {
        arrays_.clear();
        outputs_.clear();
        output_rows_.clear();
        for (const Span& span : batch.spans) {
            const uint32_t position = sequences_.length(span.seq);
            const SlotId slot = sequences_.slot(span.seq);
            for (uint32_t i = 0; i < span.tokens.size(); ++i) {
                const bool output = i + span.outputs >= span.tokens.size();
                if (output) {
                    output_rows_.push_back(static_cast<int32_t>(arrays_.tokens.size()));
                    outputs_.push_back({.seq = span.seq, .position = position + i, .logits = {}});
                }
                arrays_.add(span.tokens[i], position + i, slot, output);
            }
        }
    }

    int32_t decode() noexcept {
        try {
            return llama_decode(context_.get(), arrays_.view());
        } catch (const std::exception&) {
            return -2;
        }
    }

    /// How much of a span has its state now: all of it, or after a failure what the library says.
    std::span<const TokenId> computed(const Span& span) const {
        if (!failure_) return span.tokens;
        const auto slot = static_cast<llama_seq_id>(sequences_.slot(span.seq));
        const int64_t there = int64_t{llama_memory_seq_pos_max(memory_, slot)} + 1;
        const int64_t grown = there - sequences_.length(span.seq);
        return span.tokens.first(static_cast<size_t>(
            std::clamp<int64_t>(grown, 0, static_cast<int64_t>(span.tokens.size()))));
    }

    void attach_logits() {
        for (size_t i = 0; i < outputs_.size(); ++i) {
            const float* row = llama_get_logits_ith(context_.get(), output_rows_[i]);
            outputs_[i].finite = row != nullptr;
            if (row == nullptr) continue;
            outputs_[i].logits = {row, capabilities_.vocabulary};
            outputs_[i].finite = std::all_of(row, row + capabilities_.vocabulary,
                                             [](float x) { return std::isfinite(x); });
        }
    }

    void copy(SlotId from, SlotId to) {
        llama_memory_seq_cp(memory_, static_cast<llama_seq_id>(from), static_cast<llama_seq_id>(to),
                            -1, -1);
    }
    uint32_t truncate(SlotId slot, uint32_t length) {
        const auto id = static_cast<llama_seq_id>(slot);
        if (length > 0 && llama_memory_seq_rm(memory_, id, static_cast<llama_pos>(length), -1))
            return length;
        llama_memory_seq_rm(memory_, id, -1, -1);
        return 0;
    }

    void note_memory() {
        const Room room = sequences_.room();
        kv_used_.store(room.tokens_total - room.tokens_free, std::memory_order_relaxed);
        kv_cached_.store(room.tokens_cached, std::memory_order_relaxed);
    }
    template <class T>
    T noting(T result) {
        note_memory();
        return result;
    }

    const Capabilities capabilities_;
    std::unique_ptr<Signals> signals_;
    ModelPtr model_;
    ThreadsPtr threads_;
    ContextPtr context_;
    llama_memory_t memory_;
    SlotSequences sequences_;
    const uint64_t sequences_total_ =
        uint64_t{capabilities_.sequences_max} * capabilities_.sequence_tokens_max;
    BatchArrays arrays_;
    std::vector<Output> outputs_;
    std::vector<int32_t> output_rows_;  // of outputs_, in the batch
    std::optional<Error> failure_;      // of the step in flight
    StepId step_ = 0;
    uint64_t compute_us_ = 0, token_bytes_ = 0;
    std::atomic<uint64_t> kv_used_{0}, kv_cached_{0};  // tokens
};

llama_model_kv_override override_named(const std::string& key) {
    llama_model_kv_override made{};
    std::strncpy(made.key, key.c_str(), sizeof made.key - 1);
    return made;
}

/// Loads the weights. A file without a vocabulary (we only need its width) is declared to have
/// none, which the library wants to be told.
ModelPtr load_weights(const std::string& path, const GgufFile& file) {
    std::array<llama_model_kv_override, 3> overrides{};
    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = 0;
    if (!file.get_string("tokenizer.ggml.model")) {
        const auto* embedding = file.find("token_embd.weight");
        const std::string architecture(file.get_string("general.architecture").value_or(""));
        overrides[0] = override_named("tokenizer.ggml.model");
        overrides[0].tag = LLAMA_KV_OVERRIDE_TYPE_STR;
        std::strncpy(overrides[0].val_str, "none", sizeof overrides[0].val_str - 1);
        overrides[1] = override_named(architecture + ".vocab_size");
        overrides[1].tag = LLAMA_KV_OVERRIDE_TYPE_INT;
        overrides[1].val_i64 =
            embedding == nullptr ? 0 : static_cast<int64_t>(embedding->shape.rows());
        params.kv_overrides = overrides.data();
    }
    try {
        return ModelPtr(llama_model_load_from_file(path.c_str(), params));
    } catch (const std::exception&) {
        return nullptr;
    }
}

llama_context_params context_params(const LlamaCppSettings& settings, uint32_t context,
                                    uint32_t threads, Signals* signals) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = context * settings.sequences_max;
    params.n_batch = settings.step_tokens_max;
    params.n_ubatch = std::min(params.n_batch, 512U);
    params.n_seq_max = settings.sequences_max;
    params.n_threads = params.n_threads_batch = static_cast<int32_t>(threads);
    params.flash_attn_type =
        settings.flash_attention == FlashAttention::Auto  ? LLAMA_FLASH_ATTN_TYPE_AUTO
        : settings.flash_attention == FlashAttention::Off ? LLAMA_FLASH_ATTN_TYPE_DISABLED
                                                          : LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.kv_unified = false;
    params.no_perf = true;
    params.abort_callback_data = signals;
    params.abort_callback = [](void* data) {
        auto& seen = *static_cast<Signals*>(data);
        seen.progress.fetch_add(1, std::memory_order_relaxed);
        return seen.cancelled.load(std::memory_order_relaxed);
    };
    return params;
}

}  // namespace

Expected<std::unique_ptr<Runner>> make_llamacpp_runner(const std::string& path,
                                                       const LlamaCppSettings& settings) {
    const auto file = GgufFile::open(path);
    if (!file) return std::unexpected(file.error());
    if (settings.sequences_max == 0 || settings.sequences_max > llama_max_parallel_sequences())
        return fail(Code::Invalid, "llama.cpp takes 1 to " +
                                       std::to_string(llama_max_parallel_sequences()) +
                                       " sequences at once");
    start_llamacpp();
    take_llamacpp_error();
    ModelPtr model = load_weights(path, **file);
    if (!model)
        return fail(Code::Unsupported,
                    "llama.cpp cannot load " + path + ": " + take_llamacpp_error());
    const auto trained = static_cast<uint32_t>(std::max(1, llama_model_n_ctx_train(model.get())));
    const uint32_t longest = std::min(
        trained, settings.context_tokens_max == 0 ? kDefaultContext : settings.context_tokens_max);
    const uint32_t context = round_up(longest, kContextGranule);
    if (!checked_cast<int32_t>(uint64_t{context} * settings.sequences_max))
        return fail(Code::Invalid, "the contexts of all sequences together are too long");

    const uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
    const uint32_t threads = settings.threads == 0 ? cores : settings.threads;
    ggml_threadpool_params pool = ggml_threadpool_params_default(static_cast<int>(threads));
    ThreadsPtr team(ggml_threadpool_new(&pool));
    auto signals = std::make_unique<Signals>();
    ContextPtr made(llama_init_from_model(
        model.get(), context_params(settings, context, threads, signals.get())));
    if (!team || !made)
        return fail(Code::OutOfMemory,
                    "llama.cpp cannot make a context of " + std::to_string(settings.sequences_max) +
                        " x " + std::to_string(context) + " tokens: " + take_llamacpp_error());
    const bool recurrent =
        llama_model_is_recurrent(model.get()) || llama_model_is_hybrid(model.get());
    const uint32_t step_tokens = llama_n_batch(made.get());
    const Capabilities capabilities{
        .vocabulary =
            static_cast<uint32_t>(llama_vocab_n_tokens(llama_model_get_vocab(model.get()))),
        .hidden = static_cast<uint32_t>(llama_model_n_embd(model.get())),
        .sequences_max = settings.sequences_max,
        .sequence_tokens_max = longest,
        .step_tokens_max = step_tokens,
        .step_outputs_max =
            std::min(step_tokens, settings.step_outputs_max == 0 ? settings.sequences_max
                                                                 : settings.step_outputs_max),
        .rollback_max = recurrent ? 0 : UINT32_MAX,
        .batch_invariant = false,
        .fixed_slots = true,
        .shares_prefixes = false,
        .arithmetic = 0};
    return std::make_unique<LlamaCppRunner>(std::move(model), std::move(team), std::move(signals),
                                            std::move(made), capabilities);
}

}  // namespace dunlin
