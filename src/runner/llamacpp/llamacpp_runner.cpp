// The library's memory has one stream of KV for each sequence id ("kv_unified" off): a copy between
// streams must be whole, so that a fork copies everything and then forgets its end. Copies are only
// noted by the library and carried out, in order, before the next batch computes.

#include "runner/llamacpp/llamacpp_runner.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <optional>
#include <vector>

#include "kv/slot_sequences.h"
#include "llama.h"
#include "runner/check_batch.h"
#include "runner/llamacpp/llamacpp_load.h"
#include "runner/llamacpp/llamacpp_log.h"

namespace dunlin {
namespace {

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
    explicit LlamaCppRunner(LlamaCppModel made)
        : made_(std::move(made)),
          sequences_({.slots = capabilities_.sequences_max,
                      .slot_tokens = capabilities_.sequence_tokens_max,
                      .rollback_max = capabilities_.rollback_max},
                     {.copy = [this](SlotId from, SlotId to) { copy(from, to); },
                      .truncate = [this](SlotId slot, uint32_t n) { return truncate(slot, n); }}) {}
    ~LlamaCppRunner() override { llama_detach_threadpool(context_); }

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
        if (!made_.file->check_unchanged())
            return fail(Code::Corrupt,
                        "the model's file changed while it was in use; put a new one there under "
                        "another name, and rename it when it is whole");
        take_llamacpp_error();  // an old one
        const auto begin = std::chrono::steady_clock::now();
        signals_.cancelled.store(false, std::memory_order_relaxed);
        failure_.reset();
        outputs_.clear();
        kept_logits_.clear();
        if (!alone_) {
            if (compute(batch.spans) == 1)
                return fail(Code::NoRoom, "llama.cpp found no room for the batch");
        } else {
            for (const Span& span : batch.spans) {
                if (failure_) break;
                if (signals_.cancelled.load(std::memory_order_relaxed))
                    failure_ = Error{Code::Cancelled, "the step was cancelled"};
                else
                    compute({&span, 1});
            }
        }
        compute_us_ = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                                std::chrono::steady_clock::now() - begin)
                                                .count());
        note_memory();
        signals_.progress.fetch_add(1, std::memory_order_relaxed);
        return ++step_;
    }
    Expected<Step> collect(StepId) override {
        if (failure_) return std::unexpected(*failure_);
        return Step{outputs_, compute_us_};
    }

    void cancel() noexcept override { signals_.cancelled.store(true, std::memory_order_relaxed); }
    uint64_t progress() const noexcept override {
        return signals_.progress.load(std::memory_order_relaxed);
    }
    MemoryReport memory() const noexcept override {
        MemoryReport report = made_.memory;
        report.kv_used_bytes = kv_bytes(kv_used_);
        report.kv_cached_bytes = kv_bytes(kv_cached_);
        return report;
    }

 private:
    /// One call of the library. Returns what that said; sets failure_ where it failed.
    int32_t compute(std::span<const Span> spans) {
        const size_t first_output = outputs_.size();
        gather(spans);
        const int32_t result = decode();
        if (result == 1) {
            failure_ = Error{Code::OutOfMemory, "llama.cpp found no room for the batch"};
            return result;
        }
        if (result == 2)
            failure_ = Error{Code::Cancelled, "the step was cancelled"};
        else if (result != 0)
            failure_ = Error{made_.memory.device_bytes > 0 ? Code::DeviceLost : Code::Internal,
                             "llama.cpp failed: " + take_llamacpp_error()};
        for (const Span& span : spans) settle(span);
        if (!failure_) attach_logits(first_output);
        return result;
    }

    void gather(std::span<const Span> spans) {
        arrays_.clear();
        output_rows_.clear();
        for (const Span& span : spans) {
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
            return llama_decode(context_, arrays_.view());
        } catch (const std::exception&) {
            return -2;
        }
    }

    /// Notes how much of a span has its state now: all of it, or after a failure what the library
    /// says. A recurrent state that a failed step has touched is neither the old nor the new one.
    void settle(const Span& span) {
        if (!failure_) return sequences_.append(span.seq, span.tokens);
        const SlotId slot = sequences_.slot(span.seq);
        if (capabilities_.rollback_max == 0) {
            truncate(slot, 0);
            sequences_.trim(span.seq, 0);
            return;
        }
        const int64_t there =
            int64_t{llama_memory_seq_pos_max(memory_, static_cast<llama_seq_id>(slot))} + 1;
        const int64_t grown = there - sequences_.length(span.seq);
        sequences_.append(span.seq, span.tokens.first(static_cast<size_t>(std::clamp<int64_t>(
                                        grown, 0, static_cast<int64_t>(span.tokens.size())))));
    }

    /// To the outputs from `first` on, which the last call of the library made. Where another call
    /// follows in the step, it overwrites what this one gave.
    void attach_logits(size_t first) {
        for (size_t i = first; i < outputs_.size(); ++i) {
            const float* row = llama_get_logits_ith(context_, output_rows_[i - first]);
            outputs_[i].finite = row != nullptr;
            if (row == nullptr) continue;
            if (alone_) row = kept_logits_.emplace_back(row, row + capabilities_.vocabulary).data();
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
        if (length > 0 && llama_memory_seq_rm(memory_, id, static_cast<llama_pos>(length), -1) &&
            reaches_back(id, length))
            return length;
        llama_memory_seq_rm(memory_, id, -1, -1);
        return 0;
    }
    /// Whether all that the next token attends to is there. The library cuts a sliding window
    /// without a word where it has given away what came into view again.
    bool reaches_back(llama_seq_id id, uint32_t length) const {
        const int64_t first = llama_memory_seq_pos_min(memory_, id);
        return first >= 0 && first <= std::max<int64_t>(0, int64_t{length} - window_);
    }

    /// The share of the KV that so many tokens have.
    uint64_t kv_bytes(const std::atomic<uint64_t>& tokens) const {
        const auto share = static_cast<double>(tokens.load(std::memory_order_relaxed)) /
                           static_cast<double>(tokens_total_);
        return static_cast<uint64_t>(share * static_cast<double>(made_.memory.kv_total_bytes));
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

    LlamaCppModel made_;
    const Capabilities& capabilities_ = made_.capabilities;
    Signals& signals_ = *made_.signals;
    llama_context* const context_ = made_.context.get();
    llama_memory_t const memory_ = llama_get_memory(context_);
    const int32_t window_ = llama_model_n_swa(made_.model.get());
    // Several recurrent sequences in one call come out wrong but for the first: the state of the
    // others is mixed up (mamba on the CPU, seen in version 0.1.161 of the crate).
    const bool alone_ = capabilities_.rollback_max == 0;
    SlotSequences sequences_;
    const uint64_t tokens_total_ =
        uint64_t{capabilities_.sequences_max} * capabilities_.sequence_tokens_max;
    BatchArrays arrays_;
    std::vector<Output> outputs_;
    std::vector<int32_t> output_rows_;             // in the batch, of the outputs of one call
    std::vector<std::vector<float>> kept_logits_;  // where a step is several calls
    std::optional<Error> failure_;                 // of the step in flight
    StepId step_ = 0;
    uint64_t compute_us_ = 0;
    std::atomic<uint64_t> kv_used_{0}, kv_cached_{0};  // tokens
};

}  // namespace

Expected<std::unique_ptr<Runner>> make_llamacpp_runner(const std::string& path,
                                                       const LlamaCppSettings& settings) {
    auto made = load_llamacpp(path, settings);
    if (!made) return std::unexpected(std::move(made.error()));
    return std::make_unique<LlamaCppRunner>(std::move(*made));
}

}  // namespace dunlin
