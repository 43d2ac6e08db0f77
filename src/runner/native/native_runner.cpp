#include "runner/native/native_runner.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "base/checked.h"
#include "base/os.h"
#include "base/team.h"
#include "kernels/kernels.h"
#include "kv/paged_sequences.h"
#include "models/layers.h"
#include "runner/check_batch.h"

namespace dunlin {
namespace {

/// Names the arithmetic: it changes whenever a kernel change could change a bit of any result.
constexpr uint64_t kArithmetic = 4;
/// The same for how keys and values are kept.
constexpr uint64_t arithmetic_of(KvType type) {
    return kArithmetic + (static_cast<uint64_t>(type) << 32);
}

/// Rows of logits in a step, at least: where few sequences may be open, one has room for guesses.
constexpr uint32_t kOutputsLeast = 9;

bool all_finite(std::span<const float> row) {
    // The sum of x * 0 is NaN as soon as one x is NaN or infinite.
    float probe = 0;
    for (const float x : row) probe += x * 0.0F;
    return probe == 0.0F;
}

class NativeRunner final : public Runner {
 public:
    NativeRunner(std::unique_ptr<Team> team, std::unique_ptr<Model> model, KvStore kv,
                 const PagedSettings& paged, const Capabilities& capabilities)
        : capabilities_(capabilities),
          team_(std::move(team)),
          model_(std::move(model)),
          kv_(std::move(kv)),
          sequences_(paged, [this](BlockId from, BlockId to, uint32_t) { kv_.copy(from, to); }),
          workspace_(model_->config(), model_->forms_read(),
                     {.rows_max = capabilities.step_tokens_max,
                      .outputs_max = capabilities.step_outputs_max,
                      .threads = team_->size(),
                      .tokens_max = capabilities.sequence_tokens_max}) {
        note_memory();
    }

    const Capabilities& capabilities() const noexcept override { return capabilities_; }

    Expected<SeqId> open(const SequenceSpec& spec) override {
        return sequences_.open(spec.domain, spec.prompt, spec.tokens_max);
    }
    Match match(SeqId seq) override { return noting(sequences_.match(seq)); }
    Expected<SeqId> fork(SeqId parent, uint32_t length) override {
        return noting(sequences_.fork(parent, length));
    }
    bool reserve(SeqId seq, uint32_t tokens) override {
        return noting(sequences_.reserve(seq, tokens));
    }
    uint32_t trim(SeqId seq, uint32_t length) override {
        if (length < sequences_.length(seq)) kept_.forget(seq);
        return noting(sequences_.trim(seq, length));
    }
    void close(SeqId seq, Keep keep) override {
        kept_.forget(seq);
        sequences_.close(seq, keep);
        note_memory();
    }
    uint32_t length(SeqId seq) const override { return sequences_.length(seq); }
    Room room() const override { return sequences_.room(); }

    Expected<StepId> launch(const Batch& batch) override {
        if (auto refused = check_batch(
                batch, capabilities_, [this](SeqId seq) { return sequences_.reserved(seq); },
                kept_))
            return std::unexpected(std::move(*refused));
        gather(batch);
        const auto begin = std::chrono::steady_clock::now();
        const Parts layers = batch.spans.back().parts;
        const ForwardBatch forward{tokens_, rows_of_, output_rows_, {layers.begin, layers.end}};
        team_->run([&](Worker& worker) {
            model_->forward(worker, forward, kv_, workspace_);
            worker.barrier();
            worker.share(outputs_.size(), 1, [&](size_t first, size_t last) {
                for (size_t i = first; i < last; ++i)
                    outputs_[i].finite = all_finite(outputs_[i].logits);
            });
        });
        kept_.note(batch, capabilities_);
        for (const Span& span : batch.spans)
            if (is_finished(span, capabilities_)) sequences_.append(span.seq, span.tokens);
        const auto spent = std::chrono::steady_clock::now() - begin;
        compute_us_ = static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(spent).count());
        note_memory();
        return progress_.fetch_add(1, std::memory_order_relaxed) + 1;
    }

    Expected<Step> collect(StepId step) override {
        CHECK(step == progress_.load(std::memory_order_relaxed));
        return Step{outputs_, compute_us_};
    }

    void cancel() noexcept override {}  // a step is short; launch() returns when it is done
    uint64_t progress() const noexcept override {
        return progress_.load(std::memory_order_relaxed);
    }
    MemoryReport memory() const noexcept override {
        return {.weights_bytes = model_->weight_bytes(),
                .kv_total_bytes = kv_.bytes(),
                .kv_used_bytes = kv_used_bytes_.load(std::memory_order_relaxed),
                .kv_cached_bytes = kv_cached_bytes_.load(std::memory_order_relaxed),
                .scratch_bytes = workspace_.bytes()};
    }

 private:
    /// Fills the step's plain arrays.
    void gather(const Batch& batch) {
        tokens_.clear(), rows_of_.clear(), output_rows_.clear(), outputs_.clear();
        for (const Span& span : batch.spans) {
            const auto count = static_cast<uint32_t>(span.tokens.size());
            const auto first_row = static_cast<uint32_t>(tokens_.size());
            const uint32_t position = sequences_.length(span.seq);
            tokens_.insert(tokens_.end(), span.tokens.begin(), span.tokens.end());
            rows_of_.push_back({first_row, count, position, sequences_.blocks(span.seq)});
            for (uint32_t i = count - span.outputs; i < count; ++i) {
                output_rows_.push_back(first_row + i);
                outputs_.push_back(
                    {.seq = span.seq,
                     .position = position + i,
                     .logits = {workspace_.logits.row(outputs_.size()), capabilities_.vocabulary}});
            }
        }
    }

    void note_memory() {
        const Room room = sequences_.room();
        const uint64_t token_bytes = kv_.block_bytes() / kBlockTokens;
        kv_used_bytes_.store((room.tokens_total - room.tokens_free) * token_bytes,
                             std::memory_order_relaxed);
        kv_cached_bytes_.store(room.tokens_cached * token_bytes, std::memory_order_relaxed);
    }
    template <class T>
    T noting(T result) {
        note_memory();
        return result;
    }

    const Capabilities capabilities_;
    std::unique_ptr<Team> team_;
    std::unique_ptr<Model> model_;
    KvStore kv_;
    PagedSequences sequences_;
    Workspace workspace_;
    KeptSpan kept_;
    std::vector<TokenId> tokens_;
    std::vector<ForwardBatch::Sequence> rows_of_;
    std::vector<uint32_t> output_rows_;
    std::vector<Output> outputs_;
    uint64_t compute_us_ = 0;
    std::atomic<uint64_t> progress_{0}, kv_used_bytes_{0}, kv_cached_bytes_{0};
};

uint64_t default_kv_tokens(const ModelConfig& config, KvType type, uint64_t context) {
    const KvLayout layout{type, config.head_dim};
    const uint64_t block_bytes =
        uint64_t{config.num_hidden_layers} * config.num_key_value_heads * layout.block_bytes();
    const uint64_t blocks = usable_memory_bytes() / 4 / block_bytes;
    return std::max<uint64_t>(kBlockTokens, std::min(4 * context, blocks * kBlockTokens));
}

}  // namespace

Expected<std::unique_ptr<Runner>> make_native_runner(const ModelConfig& config,
                                                     const WeightSource& weights,
                                                     const NativeSettings& settings) {
    auto team = std::make_unique<Team>(settings.threads == 0 ? usable_cores() : settings.threads);
    const Kernels& kernels = kernels_for(chosen_isa());
    auto model = load_model({config, weights, kernels, *team});
    if (!model) return std::unexpected(model.error());

    const uint32_t context =
        settings.context_tokens_max == 0
            ? config.max_position_embeddings
            : std::min(settings.context_tokens_max, config.max_position_embeddings);
    const uint64_t tokens = settings.kv_tokens == 0
                                ? default_kv_tokens(config, settings.kv_type, context)
                                : settings.kv_tokens;
    const auto blocks = checked_cast<uint32_t>((tokens + kBlockTokens - 1) / kBlockTokens);
    if (!blocks) return fail(Code::Invalid, "the KV cache has too many tokens");
    auto kv = KvStore::allocate({.layers = config.num_hidden_layers,
                                 .heads = config.num_key_value_heads,
                                 .head_dim = config.head_dim,
                                 .blocks = *blocks,
                                 .type = settings.kv_type});
    if (!kv) return std::unexpected(kv.error());

    const uint32_t longest =
        static_cast<uint32_t>(std::min<uint64_t>(context, uint64_t{*blocks} * kBlockTokens));
    const Capabilities capabilities{
        .vocabulary = config.vocab_size,
        .hidden = config.hidden_size,
        .sequences_max = settings.sequences_max,
        .sequence_tokens_max = longest,
        .step_tokens_max = settings.step_tokens_max,
        .step_outputs_max =
            std::min(std::max(settings.sequences_max, kOutputsLeast), settings.step_tokens_max),
        .rollback_max = UINT32_MAX,
        .batch_invariant = true,
        .fixed_slots = false,
        .shares_prefixes = true,
        .parts = config.num_hidden_layers,
        .part_tokens_max = kPartRowsMax,
        .arithmetic = arithmetic_of(settings.kv_type)};
    const PagedSettings paged{.blocks_total = *blocks,
                              .sequences_max = settings.sequences_max,
                              .sequence_tokens_max = longest};
    return std::make_unique<NativeRunner>(std::move(team), std::move(*model), std::move(*kv), paged,
                                          capabilities);
}

}  // namespace dunlin
