#include "runner/fake/fake_runner.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "kv/paged_sequences.h"
#include "kv/slot_sequences.h"
#include "runner/check_batch.h"

namespace dunlin {
namespace {

constexpr uint64_t kStart = 0xcbf29ce484222325ULL;

uint64_t extend(uint64_t digest, TokenId token) {
    digest ^= static_cast<uint32_t>(token) + 0x9e3779b97f4a7c15ULL;
    digest *= 0xbf58476d1ce4e5b9ULL;
    return digest ^ digest >> 29;
}

/// The likeliest successor of the last token, whose state is this.
uint32_t successor(uint64_t state, TokenId last, uint32_t vocabulary, uint32_t surprise_every) {
    if (surprise_every == 0 || state % surprise_every == 0)
        return static_cast<uint32_t>(state / std::max(1U, surprise_every) % vocabulary);
    const auto id = static_cast<uint32_t>(last);
    return (id / 8 * 8 + (id + 1) % 8) % vocabulary;  // round and round
}

/// Room in blocks, and the state of each token in them.
struct FakeBlocks {
    static constexpr bool kFixedSlots = false;
    explicit FakeBlocks(const FakeSettings& settings)
        : state(settings.blocks, std::vector<uint64_t>(kBlockTokens, 0)),
          room({.blocks_total = settings.blocks,
                .sequences_max = settings.sequences_max,
                .sequence_tokens_max = settings.sequence_tokens_max},
               [this](BlockId from, BlockId to, uint32_t) { state[to] = state[from]; }) {}
    ~FakeBlocks() { room.check_integrity(); }
    FakeBlocks(const FakeBlocks&) = delete;
    uint64_t& place(SeqId seq, uint32_t i) {
        return state[room.blocks(seq)[i / kBlockTokens]][i % kBlockTokens];
    }
    std::vector<std::vector<uint64_t>> state;  // [block][token]
    PagedSequences room;
};

/// Room in slots.
struct FakeSlots {
    static constexpr bool kFixedSlots = true;
    explicit FakeSlots(const FakeSettings& settings)
        : state(settings.sequences_max, std::vector<uint64_t>(settings.sequence_tokens_max, 0)),
          room({.slots = settings.sequences_max,
                .slot_tokens = settings.sequence_tokens_max,
                .rollback_max = settings.rollback_max},
               {.copy = [this](SlotId from, SlotId to) { state[to] = state[from]; },
                .truncate =
                    [this](SlotId slot, uint32_t length) {
                        std::fill(state[slot].begin() + length, state[slot].end(), 0);
                        return length;
                    }}) {}
    uint64_t& place(SeqId seq, uint32_t i) { return state[room.slot(seq)][i]; }
    std::vector<std::vector<uint64_t>> state;  // [slot][token]
    SlotSequences room;
};

template <class Memory>
class FakeRunner final : public Runner {
 public:
    explicit FakeRunner(const FakeSettings& settings) : settings_(settings), memory_(settings) {
        capabilities_.vocabulary = settings.vocabulary;
        capabilities_.sequences_max = settings.sequences_max;
        capabilities_.sequence_tokens_max =
            Memory::kFixedSlots
                ? settings.sequence_tokens_max
                : std::min(settings.sequence_tokens_max, settings.blocks * kBlockTokens);
        capabilities_.step_tokens_max = settings.step_tokens_max;
        capabilities_.step_outputs_max =
            settings.step_outputs_max == 0 ? settings.sequences_max : settings.step_outputs_max;
        capabilities_.rollback_max = Memory::kFixedSlots ? settings.rollback_max : UINT32_MAX;
        capabilities_.batch_invariant = true;
        capabilities_.fixed_slots = Memory::kFixedSlots;
        capabilities_.shares_prefixes = !Memory::kFixedSlots;
        capabilities_.parts = settings.parts;
        capabilities_.part_tokens_max = settings.parts > 1 ? kBlockTokens : 0;
    }

    const Capabilities& capabilities() const noexcept override { return capabilities_; }
    Expected<SeqId> open(const SequenceSpec& spec) override {
        return memory_.room.open(spec.domain, spec.prompt, spec.tokens_max);
    }
    Match match(SeqId seq) override { return memory_.room.match(seq); }
    Expected<SeqId> fork(SeqId parent, uint32_t length) override {
        return memory_.room.fork(parent, length);
    }
    bool reserve(SeqId seq, uint32_t tokens) override { return memory_.room.reserve(seq, tokens); }
    uint32_t trim(SeqId seq, uint32_t length) override {
        if (length < this->length(seq)) kept_.forget(seq);
        return memory_.room.trim(seq, length);
    }
    void close(SeqId seq, Keep keep) override {
        kept_.forget(seq);
        memory_.room.close(seq, keep);
    }
    uint32_t length(SeqId seq) const override { return memory_.room.length(seq); }
    Room room() const override { return memory_.room.room(); }

    Expected<StepId> launch(const Batch& batch) override {
        if (auto refused = check_batch(
                batch, capabilities_, [this](SeqId seq) { return memory_.room.reserved(seq); },
                kept_))
            return std::unexpected(std::move(*refused));
        const uint64_t step = progress_.fetch_add(1, std::memory_order_relaxed) + 1;
        compute_us_ = settings_.step_us;
        for (const Span& span : batch.spans) compute_us_ += time_of(span);
        if (settings_.clock != nullptr)
            settings_.clock->advance_us(static_cast<int64_t>(compute_us_));
        else if (compute_us_ > 0)
            std::this_thread::sleep_for(std::chrono::microseconds(compute_us_));
        if (step == settings_.hang_at_step) {
            cancelled_.wait(false);
            return fail(Code::Cancelled, "the step was cancelled");
        }
        if (step == settings_.fail_at_step)
            return fail(Code::DeviceLost, "the fake device is gone");
        logits_.clear();
        outputs_.clear();
        broken_ = settings_.break_every_steps != 0 && step % settings_.break_every_steps == 0;
        if (broken_)
            kept_.clear();
        else
            kept_.note(batch, capabilities_);
        for (size_t i = 0; i < batch.spans.size(); ++i) {
            Span span = batch.spans[i];
            if (broken_ && i >= batch.spans.size() / 2) {
                span.tokens = span.tokens.first(span.tokens.size() / 2);
                span.outputs = 0;
            }
            if (is_finished(span, capabilities_)) compute(span);
            if (broken_ && i >= batch.spans.size() / 2) break;
        }
        for (size_t i = 0; i < outputs_.size(); ++i) outputs_[i].logits = logits_[i];
        if (step == settings_.nan_at_step && !outputs_.empty()) outputs_[0].finite = false;
        return step;
    }
    Expected<Step> collect(StepId) override {
        if (broken_) return fail(Code::DeviceLost, "the fake device broke down in mid-step");
        return Step{outputs_, compute_us_};
    }
    void cancel() noexcept override {
        cancelled_ = true;
        cancelled_.notify_all();
    }
    uint64_t progress() const noexcept override { return progress_.load(); }
    MemoryReport memory() const noexcept override { return {}; }

 private:
    uint64_t time_of(const Span& span) const {
        uint64_t whole = uint64_t{settings_.token_us} * span.tokens.size();
        if (span.outputs < span.tokens.size())
            whole += uint64_t{settings_.depth_us} * length(span.seq) / 1000 *
                     ((span.tokens.size() + kBlockTokens - 1) / kBlockTokens);
        const uint32_t end = std::min(span.parts.end, capabilities_.parts);
        return whole * (end - span.parts.begin) / capabilities_.parts;
    }

    void compute(const Span& span) {
        uint32_t at = memory_.room.length(span.seq);
        const auto first_output = at + span.tokens.size() - span.outputs;
        for (const TokenId token : span.tokens) {
            const uint64_t before = at == 0 ? kStart : memory_.place(span.seq, at - 1);
            const uint64_t state = memory_.place(span.seq, at) = extend(before, token);
            if (at >= first_output) {
                std::vector<float>& row = logits_.emplace_back(settings_.vocabulary);
                for (uint32_t i = 0; i < row.size(); ++i)
                    row[i] = static_cast<float>((state >> 8) % 97 + i * 31 % 61) / 60.0F;
                row[successor(state, token, settings_.vocabulary, settings_.surprise_every)] =
                    10.0F;
                outputs_.push_back({.seq = span.seq, .position = at, .logits = {}});
            }
            ++at;
        }
        memory_.room.append(span.seq, span.tokens);
    }

    FakeSettings settings_;
    Capabilities capabilities_;
    Memory memory_;
    KeptSpan kept_;
    std::vector<std::vector<float>> logits_;
    std::vector<Output> outputs_;
    bool broken_ = false;  // the step in flight
    uint64_t compute_us_ = 0;
    std::atomic<uint64_t> progress_{0};
    std::atomic<bool> cancelled_{false};
};

}  // namespace

std::unique_ptr<Runner> make_fake_runner(const FakeSettings& settings) {
    if (settings.fixed_slots) return std::make_unique<FakeRunner<FakeSlots>>(settings);
    return std::make_unique<FakeRunner<FakeBlocks>>(settings);
}

TokenId fake_next_token(std::span<const TokenId> tokens, uint32_t vocabulary,
                        uint32_t surprise_every) {
    uint64_t digest = kStart;
    for (const TokenId token : tokens) digest = extend(digest, token);
    return static_cast<TokenId>(
        successor(digest, tokens.empty() ? 0 : tokens.back(), vocabulary, surprise_every));
}

}  // namespace dunlin
